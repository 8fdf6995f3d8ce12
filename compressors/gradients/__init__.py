"""Gradients in low precision while training; one way of rounding a file."""
