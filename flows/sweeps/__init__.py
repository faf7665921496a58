"""Many runs of one command: how they are launched, what became of each, and what they say together."""
