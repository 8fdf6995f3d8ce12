"""Dataflows, one file each: mappings(layer, machine) -> the mappings the dataflow allows."""
