"""Sections of BENCHMARKS.md: a file each, which makes lines of Markdown of one measurement's results."""
