"""What a run says: two sides, baseline and compressed, as one versioned record and its files.

`compare` joins two sides (`hwsim.side`), `write` puts report.json, layers.csv and the plots into a
folder, `read` brings report.json back.
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from math import fsum
from pathlib import Path
from typing import Literal

from hwsim import gallery
from hwsim.codesign_report import CodesignReport
from hwsim.config import Config
from hwsim.cost import COMPONENTS
from hwsim.results import csv_text, read_record, write_files
from hwsim.side import Count, LayerRow, Real, Side, flat

NOTHING: Mapping[str, bytes] = {}
Pair = tuple[LayerRow | None, LayerRow | None]


class Ratios(Config):
    """Baseline divided by compressed: above 1 the compressed side is better; None: over zero."""

    energy: Real | None
    latency: Real | None
    cycles: Real | None
    dram: Real | None
    macs: Real | None


class Report(Config):
    """Everything that a run found; `images` counts those that top-1 was measured on.

    `search` says how the compressed side's plan was chosen, None where the scenario names it.
    """

    schema_version: Literal[1] = 1
    hwsim_version: str
    scenario: str
    description: str
    seed: int
    images: Count
    ratios: Ratios
    baseline: Side
    compressed: Side
    search: CodesignReport | None = None

    @property
    def sides(self) -> tuple[tuple[str, Side], ...]:
        """Both sides with the names of their keys."""
        return (("baseline", self.baseline), ("compressed", self.compressed))

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Each layer's (baseline, compressed) rows in execution order; None: not on that side."""
        before = {row.name: row for row in self.baseline.layers}
        after = {row.name: row for row in self.compressed.layers}
        order = list(before)
        for previous, name in pairwise(["", *after]):
            if name not in before:
                order.insert(order.index(previous) + 1 if previous else 0, name)
        return tuple((before.get(name), after.get(name)) for name in order)

    @property
    def folded_pairs(self) -> tuple[Pair, ...]:
        """`pairs` for people to read: layers fused on both sides add up to one last pair."""
        shown = [pair for pair in self.pairs if not _is_fused(pair)]
        hidden = [pair for pair in self.pairs if _is_fused(pair)]
        before, after = (_sum([pair[i] for pair in hidden]) for i in range(2))
        return (*shown, (before, after)) if hidden else tuple(shown)


def _is_fused(pair: Pair) -> bool:
    return all(row is None or row.fused_into for row in pair)


def _sum(rows: list[LayerRow | None]) -> LayerRow | None:
    """One row for fused layers, which have nothing to add up but arithmetic."""
    found = [row for row in rows if row]
    if not found:
        return None
    energies = {
        name: fsum(row.energy_by_component_pj[name] for row in found) for name in COMPONENTS
    }
    return found[0].model_copy(
        update={
            "name": f"{len(found)} fused layer{'s' if len(found) > 1 else ''}",
            "operations": sum(row.operations for row in found),
            "energy_pj": fsum(row.energy_pj for row in found),
            "energy_by_component_pj": energies,
        }
    )


def compare(
    baseline: Side,
    compressed: Side,
    *,
    scenario: str,
    description: str,
    seed: int,
    images: int = 0,
    search: CodesignReport | None = None,
) -> Report:
    """The report on two sides, with their ratios, and on the search for the plan if there was."""
    return Report(
        hwsim_version=installed_version(),
        scenario=scenario,
        description=description,
        seed=seed,
        images=images,
        ratios=Ratios(
            energy=_ratio(baseline.energy_pj, compressed.energy_pj),
            latency=_ratio(baseline.latency_ms, compressed.latency_ms),
            cycles=_ratio(baseline.cycles, compressed.cycles),
            dram=_ratio(baseline.dram_bits, compressed.dram_bits),
            macs=_ratio(baseline.macs, compressed.macs),
        ),
        baseline=baseline,
        compressed=compressed,
        search=search,
    )


def installed_version() -> str:
    """The version of hwsim as it was installed."""
    try:
        return version("hwsim")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "not installed"


def _ratio(before: float, after: float) -> float | None:
    return before / after if after else None


def to_json(report: Report) -> str:
    """The text of report.json."""
    return report.model_dump_json(indent=1) + "\n"


def to_csv(report: Report) -> str:
    """The text of layers.csv: a row per side and layer; mappings are left to report.json."""
    return csv_text(
        [
            {"side": key, "label": side.label} | flat(row)
            for key, side in report.sides
            for row in side.layers
        ]
    )


def contents(report: Report, plots: Iterable[str]) -> dict[str, bytes]:
    """Every file of a results folder by name, the named plots included."""
    texts = {"report.json": to_json(report), "layers.csv": to_csv(report)}
    files = {name: text.encode() for name, text in texts.items()}
    return files | gallery.images(plots, "draw", report)


def write(
    report: Report, folder: Path, *, plots: Iterable[str], beside: Mapping[str, bytes] = NOTHING
) -> tuple[Path, ...]:
    """Writes report.json, layers.csv, the named plots and what else is given; returns their paths.

    Everything is drawn before the disk is touched and lies complete on the disk before the first
    file moves into place. Other files in the folder stay. Raises InputError naming the folder.
    """
    files = {**contents(report, plots), **beside}
    write_files(files, folder)
    return tuple(folder / name for name in files)


def read(path: Path) -> Report:
    """The report that `write` left at `path`. Raises InputError naming file, key and value."""
    return read_record(path, Report, what="a report")
