"""Importers: PyTorch modules to hwsim networks."""
