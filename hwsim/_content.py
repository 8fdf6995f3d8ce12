"""Content hashes: of a record but for its labels, and of the code that maps and costs layers."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from numbers import Integral, Real

from pydantic import BaseModel

from hwsim.hardware import Accelerator, Control, Mac, Memory
from hwsim.registry import PACKAGES, names
from hwsim.workload import Layer

# What is for reading only. A record that is not listed counts with all it has.
LABELS: dict[type, frozenset[str]] = {
    Layer: frozenset({"name"}),
    Accelerator: frozenset({"name", "description", "source"}),
    Memory: frozenset({"source"}),
    Mac: frozenset({"source"}),
    Control: frozenset({"source"}),
}
SEARCH = "hwsim.simulate"
IMPORT = re.compile(rb"^\s*(?:from|import) (hwsim(?:\.\w+)+)", re.MULTILINE)


def digest(value: object) -> str:
    """SHA-256 of a record's content and of the code, in hexadecimal."""
    return sha256(f"{code_digest()}{to_json(_content(value))}".encode()).hexdigest()


def to_json(value: object) -> str:
    """JSON without blanks, in the given order; numpy's numbers are written as plain ones."""
    return json.dumps(value, separators=(",", ":"), default=_plain)


def _plain(value: object) -> int | float:
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _content(value: object) -> object:
    """Lists, numbers and texts that differ wherever two records differ in more than labels.

    Mappings keep their order, as the order of axes may decide between equally good mappings.
    """
    if isinstance(value, bytes):
        return sha256(value).hexdigest()
    if isinstance(value, dict):
        return [[_content(key), _content(item)] for key, item in value.items()]
    if isinstance(value, set | frozenset):
        return sorted(to_json(_content(item)) for item in value)
    if isinstance(value, list | tuple):
        return [_content(item) for item in value]
    record = [[key, _content(getattr(value, key))] for key in _keys(value)]
    return [type(value).__name__, record] if record else value


def _keys(value: object) -> Iterator[str]:
    """The fields of a record that are no labels; none of what is no record."""
    found: Iterable[str] = ()
    if isinstance(value, BaseModel):
        found = type(value).model_fields
    elif is_dataclass(value):
        found = (each.name for each in fields(value))
    dropped = LABELS.get(type(value), frozenset())
    return (key for key in found if key not in dropped)


@cache
def code_digest() -> str:
    """SHA-256 of every source file of hwsim that the search may run, in hexadecimal."""
    found = sources()
    return sha256(b"".join(found[name] for name in sorted(found))).hexdigest()


def sources() -> dict[str, bytes]:
    """By module, the sources that `hwsim.simulate` and the dataflows import, and their own."""
    package = PACKAGES["dataflow"][0]
    found: dict[str, bytes] = {}
    left = [SEARCH, *(f"{package}.{name}" for name in names("dataflow"))]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = _source(name)
            left += [match.decode() for match in IMPORT.findall(found[name])]
    return found


def _source(name: str) -> bytes:
    """A module's file, or what a package says of itself."""
    place = files("hwsim").joinpath(*name.split(".")[1:-1])
    file = place.joinpath(f"{name.split('.')[-1]}.py")
    return file.read_bytes() if file.is_file() else b""
