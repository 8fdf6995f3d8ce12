"""Codes: how a weight tensor is represented, decoded, counted in bits and written; one a file."""
