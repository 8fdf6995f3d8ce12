"""Weights in training: parametrizations whose value is what a code decodes to; one a file."""
