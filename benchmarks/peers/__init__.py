"""Other mappers: their cost models as functions of a mapping, and how to run them."""
