"""Pruning: what is removed, by which score, how much of each layer, when, and what mends it."""
