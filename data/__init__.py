"""Datasets as Python: each owns its names, units and splits, and the truth where it is known."""
