"""Activations on the way into a layer: how they are quantised; one a file."""
