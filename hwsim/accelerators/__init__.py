"""Machines, one YAML file each; the file name is the name."""
