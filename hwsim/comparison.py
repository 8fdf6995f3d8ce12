"""Two runs side by side: layer by layer and in all, with what the second gains on the first."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Group, RenderableType
from rich.text import Text

from hwsim import report, single
from hwsim.config import Config
from hwsim.errors import InputError
from hwsim.report import Pair, Ratios, Report
from hwsim.ruled import ruled
from hwsim.side import LayerRow, Side
from hwsim.table import BITS_A_KILOBYTE, digits

REPORT = "report.json"
SIDES = ("baseline", "compressed")


class Quantities(Config):
    """What a layer, or a network, costs on one side."""

    macs: int
    cycles: int
    energy_pj: float
    dram_bits: int


class Gains(Config):
    """First divided by second: above 1 the second is better; None: over zero."""

    energy: float | None
    cycles: float | None
    dram: float | None


class LayerPair(Config):
    """A layer by its name on both sides; None where one lacks it."""

    name: str
    first: Quantities | None
    second: Quantities | None
    gains: Gains | None


class Total(Quantities):
    """A network on one side."""

    label: str
    network: str
    machine: str
    batch: int
    latency_ms: float
    top1: float | None


class Comparison(Config):
    """All of it."""

    kind: Literal["comparison"] = "comparison"
    schema_version: Literal[1] = 1
    hwsim_version: str
    first: Total
    second: Total
    gains: Ratios
    layers: tuple[LayerPair, ...]


@dataclass(frozen=True)
class Sides:
    """Two sides joined, as `hwsim.report` joins those of a scenario."""

    joined: Report

    @property
    def comparison(self) -> Comparison:
        """As a record."""
        before, after = self.joined.baseline, self.joined.compressed
        return Comparison(
            hwsim_version=self.joined.hwsim_version,
            first=_total(before),
            second=_total(after),
            gains=self.joined.ratios,
            layers=tuple(_layer(pair) for pair in self.joined.pairs),
        )


def side(place: str) -> Side:
    """The side of a run that a path means: a folder of results, or the file in it.

    Of a scenario's two sides it is the compressed one, unless `:baseline` follows. Raises
    InputError.
    """
    text, _, chosen = place.rpartition(":")
    if chosen not in SIDES:
        text, chosen = place, ""
    path = Path(text)
    if path.is_dir():
        found = [path / name for name in (single.RECORD, REPORT) if (path / name).is_file()]
        if not found:
            raise InputError(f"{path}: holds neither {single.RECORD} nor {REPORT}")
        path = found[0]
    if not path.is_file():
        raise InputError(f"{path}: no such folder or file of results")
    if single.is_one(path):
        if chosen:
            raise InputError(f"{place}: a run of `hwsim simulate` has one side alone")
        return single.read(path).side
    sides = dict(report.read(path).sides)
    return sides[chosen or SIDES[1]]


def compare(first: Side, second: Side) -> Sides:
    """Two sides joined. Layers are matched by name, or those with weights by place where the two
    networks are of the same shapes and only the names differ."""
    before, after = ([row for row in side.layers if row.macs] for side in (first, second))
    same = [(row.op, row.bounds) for row in before] == [(row.op, row.bounds) for row in after]
    known = {row.name for row in before}
    if same and not known & {row.name for row in after}:
        names = {row.name: other.name for row, other in zip(after, before, strict=True)}
        renamed = tuple(_renamed(row, names) for row in second.layers)
        second = second.model_copy(update={"layers": renamed})
    title = f"{first.label} and {second.label}"
    return Sides(report.compare(first, second, scenario=title, description="", seed=0))


def _renamed(row: LayerRow, names: dict[str, str]) -> LayerRow:
    return row.model_copy(update={"name": names.get(row.name, row.name)})


def _total(found: Side) -> Total:
    return Total(
        label=found.label,
        network=found.network,
        machine=found.machine,
        batch=found.batch,
        macs=found.macs,
        cycles=found.cycles,
        latency_ms=found.latency_ms,
        energy_pj=found.energy_pj,
        dram_bits=found.dram_bits,
        top1=found.top1,
    )


def _layer(pair: Pair) -> LayerPair:
    before, after = pair
    name = next(row.name for row in pair if row)
    gains = _gains(before, after) if before and after else None
    return LayerPair(name=name, first=_quantities(before), second=_quantities(after), gains=gains)


def _quantities(row: LayerRow | None) -> Quantities | None:
    if row is None:
        return None
    return Quantities(
        macs=row.macs, cycles=row.cycles, energy_pj=row.energy_pj, dram_bits=row.dram_bits
    )


def _gains(before: LayerRow | Side, after: LayerRow | Side) -> Gains:
    return Gains(
        energy=_ratio(before.energy_pj, after.energy_pj),
        cycles=_ratio(before.cycles, after.cycles),
        dram=_ratio(before.dram_bits, after.dram_bits),
    )


def _ratio(before: float, after: float) -> float | None:
    return before / after if after else None


def shown(sides: Sides) -> RenderableType:
    """A line for each layer, and the totals; layers fused on both sides make one line."""
    first, second = sides.joined.baseline, sides.joined.compressed
    found = ruled()
    found.add_column("layer", overflow="fold")
    for quantity in ("energy µJ", "cycles", "DRAM kB"):
        for head in (f"{quantity}\nA", "\nB", "\ngain"):
            found.add_column(head, justify="right", no_wrap=True)
    for pair in sides.joined.folded_pairs:
        found.add_row(next(row.name for row in pair if row), *_cells(*pair))
    found.add_section()
    found.add_row("total", *_cells(first, second), style="bold")
    lines = [f"A: {_said(first)}", f"B: {_said(second)}"]
    return Group(*map(Text, lines), "", found)


def _said(found: Side) -> str:
    """A side in a line."""
    where = f"{found.network} on {found.machine}"
    of = where if found.label == where else f"{found.label}, {where}"
    top1 = "" if found.top1 is None else f", top-1 {100 * found.top1:.2f} %"
    return f"{of}: {digits(found.energy_pj / 1e6)} µJ, {digits(found.latency_ms)} ms{top1}"


def _cells(before: LayerRow | Side | None, after: LayerRow | Side | None) -> list[str]:
    gains = _gains(before, after) if before and after else None
    shares = (gains.energy, gains.cycles, gains.dram) if gains else (None, None, None)
    cells = []
    for one, other, gain in zip(_numbers(before), _numbers(after), shares, strict=True):
        cells += [one, other, "-" if gain is None else f"{gain:.2f}x"]
    return cells


def _numbers(found: LayerRow | Side | None) -> list[str]:
    if found is None:
        return ["-"] * 3
    traffic = digits(found.dram_bits / BITS_A_KILOBYTE)
    return [digits(found.energy_pj / 1e6), f"{found.cycles:,}", traffic]
