"""Measurements against the field: `make bench`."""
