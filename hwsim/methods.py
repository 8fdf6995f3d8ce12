"""The catalogue of methods: what the literature has, what of it is here, and what was measured."""

import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

import yaml
from rich.table import Table

from hwsim import registry

MECHANISMS = {
    "P": "pruner",
    "R": "trainer under constraints",
    "Q": "codebook or level set",
    "F": "factoriser",
    "S": "structured operator",
    "T": "transfer",
    "G": "graph rewrite",
    "K": "kernel",
    "C": "coder",
    "H": "hardware",
    "N": "network",
}


@dataclass(frozen=True, kw_only=True)
class Method:
    """An entry of the catalogue; `file` is None where it is not covered yet.

    `callable` says that it can be named in a plan, or run. `result` is what
    `python -m benchmarks.compression` measured, by network.
    """

    id: str
    name: str
    mechanism: str
    file: str | None
    result: dict[str, Any] | None

    @property
    def callable(self) -> bool:
        """Whether it is here."""
        return self.file is not None

    def as_json(self) -> dict[str, Any]:
        """All of it, JSON-able."""
        return asdict(self) | {"callable": self.callable}


def methods() -> tuple[Method, ...]:
    """Every entry, by mechanism."""
    package = files(registry.PACKAGES["compressor"][0])
    found = yaml.safe_load((package / "catalogue.yaml").read_text(encoding="utf-8"))
    measured = package / "measured.json"
    results = json.loads(measured.read_text(encoding="utf-8")) if measured.is_file() else {}
    return tuple(
        Method(
            id=name,
            name=entry["name"],
            mechanism=mechanism,
            file=_file(name, entry),
            result=results.get(name),
        )
        for mechanism, entries in found.items()
        for name, entry in entries.items()
    )


def _file(name: str, entry: dict[str, str]) -> str | None:
    """The file that covers an entry, from the root of the project."""
    package, suffix = registry.PACKAGES["compressor"]
    own = f"{package}/{name}{suffix}" if name in registry.names("compressor") else None
    return own or entry.get("file")


def as_table(found: tuple[Method, ...]) -> Table:
    """What is here and what is not, a row each."""
    table = Table("method", "mechanism", "file", "published as")
    for one in found:
        table.add_row(one.id, MECHANISMS[one.mechanism], one.file or "-", one.name)
    return table
