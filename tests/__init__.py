"""Tests, one file for each module, and the oracle they ask."""
