"""Solvers: how training brings weights into a set of codes; hooks of `compressors._fit.fit`."""
