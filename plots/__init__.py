"""Plots, one drawing per file: draw(report) -> Figure."""
