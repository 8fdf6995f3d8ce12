"""Constraint training: what runs beside a fit so that weights end up in a set; one a file."""
