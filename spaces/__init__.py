"""Spaces of machines to be explored: the file name is the name."""
