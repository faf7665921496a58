"""Training: the loop, all that a run holds and saves, and its directory."""
