"""Importers: PyTorch modules and programs, and ONNX files, to hwsim networks."""
