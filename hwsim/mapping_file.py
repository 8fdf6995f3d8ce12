"""A mapping in a YAML file, or in the JSON that `hwsim map` prints: its records, or `mapping:`."""

from pathlib import Path
from typing import Any

import yaml

from hwsim.config import yaml_content
from hwsim.errors import ConfigError, MappingError
from hwsim.hardware import Accelerator
from hwsim.mapping import Mapping, Node, faults, read_node
from hwsim.workload import Layer

KEY = "mapping"


def read(path: Path, layer: Layer, machine: Accelerator) -> Mapping:
    """The mapping in a file, which the machine can run.

    Raises InputError, and MappingError with a line for each fault that the file has.
    """
    records = _records(path)
    nodes, found = _nodes(records)
    mapping = Mapping(tuple(nodes))
    found = found or faults(mapping, layer, machine)
    if found:
        raise MappingError("\n".join(f"{path}: {fault}" for fault in found))
    return mapping


def _records(path: Path) -> list[Any]:
    content = yaml_content(path)
    records = content.get(KEY) if isinstance(content, dict) else content
    if not isinstance(records, list):
        value = type(records).__name__
        raise ConfigError(file=path, key=KEY, value=value, reason="must be a list of records")
    return records


def _nodes(records: list[Any]) -> tuple[list[Node], list[str]]:
    """The nodes, and what is wrong with the records that are none."""
    nodes, wrong = [], []
    for index, record in enumerate(records):
        try:
            nodes.append(read_node(index, record))
        except MappingError as error:
            wrong.append(str(error))
    return nodes, wrong


def text(mapping: Mapping, *, layer: str, machine: str) -> str:
    """A file's text, from which `read` has the mapping; it says of what and where above."""
    content = {"layer": layer, "machine": machine, KEY: mapping.to_yaml()}
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
