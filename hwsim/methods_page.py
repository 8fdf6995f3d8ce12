"""The catalogue of methods as a Markdown page: where each is, what it needs, what it does."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import groupby
from typing import Any

from hwsim import registry
from hwsim.methods import MECHANISMS, Method

HEADS = ("id", "published as", "where", "takes", "needs", "measured")
HEAD = """# Methods

Every method, network and machine of the catalogue, as `hwsim methods --markdown` prints it: a file
where it is here, a dash where it is not yet. *Takes* says which layers, *needs* what it cannot do
without: nothing, images, or images with labels. *Measured* is top-1 in per cent before, after, and
after fine-tuning, and bits a weight, with default settings; [Methods, measured](compression.md) has
all of it.
"""
KINDS = {"Conv1d": "conv", "Conv2d": "conv", "Linear": "linear", "LSTM": "LSTM"}


def page(found: Iterable[Method]) -> str:
    """A section for each mechanism, a row for each entry."""
    parts = [HEAD]
    for mechanism, entries in groupby(found, key=lambda one: one.mechanism):
        parts += [f"## {MECHANISMS[mechanism].capitalize()}\n", *_table(entries), ""]
    return "\n".join(parts).rstrip("\n") + "\n"


def _table(entries: Iterable[Method]) -> Iterator[str]:
    yield _line(HEADS)
    yield _line("---" for _ in HEADS)
    for one in entries:
        where = f"`{one.file}`" if one.file else "-"
        yield _line((f"`{one.id}`", one.name, where, *_demands(one), measured(one.result)))


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _demands(one: Method) -> tuple[str, str]:
    """The layers that a compressor takes and the data that it needs, as its file says."""
    if one.id not in registry.names("compressor"):
        return "", ""
    file = import_module(f"{registry.PACKAGES['compressor'][0]}.{one.id}")
    kinds = dict.fromkeys(KINDS.get(kind.__name__, kind.__name__) for kind in file.TAKES)
    return ", ".join(kinds), str(file.NEEDS)


def measured(result: dict[str, Any] | None) -> str:
    """A clause for each network: lenet5 92.24 → 91.66 → 91.70, 4.05 bits."""
    return "; ".join(_measured(network, found) for network, found in (result or {}).items())


def _measured(network: str, found: dict[str, Any]) -> str:
    keys = ("top1_before", "top1_after", "top1_tuned")
    tops = [f"{found[key]:.2f}" for key in keys if found.get(key) is not None]
    bits = found.get("bits_a_weight")
    size = "" if bits is None else f", {bits:.2f} bits"
    return f"{network} {' → '.join(tops)}{size}"
