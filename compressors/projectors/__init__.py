"""Projectors: the nearest code of a set to a weight tensor, within a budget; one a file."""
