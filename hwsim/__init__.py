"""Simulate neural-network accelerators, and what compression is worth on them."""
