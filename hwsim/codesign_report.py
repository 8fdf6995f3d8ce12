"""What a co-design search says: the plan it chose, why, and what it measured on the way.

Plain numbers in one versioned record, which JSON, CSV, the table and the plots are made from.
Energies are in pJ, latencies in ms, sizes in bits of weights, all of one batch; accuracy is a share
in 0..1.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from hwsim import gallery
from hwsim.config import Config
from hwsim.results import csv_text, read_record, write_files

HOOK = "draw_codesign"
Components = dict[str, float]


class Totals(Config):
    """Of a whole network; None what a machine cannot run, and accuracy that was not measured.

    `accuracy_error` is the standard error of the loss of accuracy on the images that judged, None
    where it is not known.
    """

    energy_pj: float | None
    latency_ms: float | None
    size_bits: float
    accuracy: float | None
    accuracy_error: float | None = None


class Gain(Config):
    """What one property of a compressed layer saves: what the layer would cost more without it.

    `prop` names the property, `components_pj` has the parts of the energy, where they are known.
    `bound` names what the layer would be busy with longest. No energy and no latency where the
    machine could not run the layer without.
    """

    prop: str
    bound: str
    energy_pj: float | None
    latency_ms: float | None
    components_pj: Components


class LayerChoice(Config):
    """A layer: what it got, what it costs, and why.

    `baseline_` is the layer as it was, None where the machine cannot run it so. `accuracy_drop` is
    what the search attributes to the choice. `runner_up` is what the layer has in the best plan in
    which it must have something else, and `runner_up_excess` by what share of itself that plan's
    objective is worse; None where no such plan holds the budgets. `paid` says which feature of the
    hardware paid most, of all `gains`. Layers without weights have no `choice`.
    """

    name: str
    op: str
    choice: str
    candidates: int
    energy_pj: float
    latency_ms: float
    cycles: int | None
    bound: str
    size_bits: float
    components_pj: Components
    accuracy_drop: float
    baseline_energy_pj: float | None
    baseline_latency_ms: float | None
    baseline_cycles: int | None
    baseline_bound: str
    baseline_components_pj: Components
    runner_up: str | None
    runner_up_excess: float | None
    paid: str
    gains: tuple[Gain, ...]


class Point(Config):
    """A plan: its choices by layer, totals as predicted (accuracy as a drop) and as measured."""

    choices: dict[str, str]
    predicted_drop: float
    predicted_energy_pj: float
    predicted_latency_ms: float
    predicted_size_bits: float
    measured: Totals | None = None
    met: bool | None = None


class DroppedCandidate(Config):
    """A candidate that a layer could not get, and why."""

    layer: str
    candidate: str
    reason: str


class Comparison(Config):
    """How well a proxy orders candidates: Spearman's rank correlation with measured drops of
    accuracy over `trials` of them."""

    sensitivity: str
    correlation: float | None
    trials: int


class Evolution(Config):
    """The check by an evolutionary search of the same tables: the best that it found in so many
    evaluations, and the program's; both of the objective."""

    best: float | None
    optimum: float
    evaluations: int


class CodesignReport(Config):
    """Everything that a search found. `bounds` are the budgets in absolute numbers.

    `gap` is the largest share of its answer by which an integer program that was stopped may miss
    the optimum, 1 where it had none; 0 where all were solved.
    """

    schema_version: Literal[1] = 1
    network: str
    machine: str
    objective: str
    sensitivity: str
    bounds: dict[str, float]
    met: bool
    text: str
    baseline: Totals
    found: Totals
    predicted: Point
    layers: tuple[LayerChoice, ...]
    front: tuple[Point, ...]
    attempts: tuple[Point, ...]
    candidates: dict[str, tuple[str, ...]]
    dropped: tuple[DroppedCandidate, ...]
    comparisons: tuple[Comparison, ...] = ()
    gap: float = 0.0
    evolution: Evolution | None = None

    @property
    def compressed_layers(self) -> tuple[LayerChoice, ...]:
        """Those that had a choice."""
        return tuple(layer for layer in self.layers if layer.choice)


def to_json(report: CodesignReport) -> str:
    """The text of codesign.json."""
    return report.model_dump_json(indent=1) + "\n"


def to_csv(report: CodesignReport) -> str:
    """The text of codesign.csv: a row for each layer."""
    left_out = {"gains", "components_pj", "baseline_components_pj"}
    return csv_text([layer.model_dump(exclude=left_out) for layer in report.layers])


def contents(report: CodesignReport, plots: Iterable[str] | None = None) -> dict[str, bytes]:
    """Every file of a results folder by name; `plots` by name, by default all that draw one."""
    found = {"codesign.json": to_json(report).encode(), "codesign.csv": to_csv(report).encode()}
    return found | gallery.images(gallery.plots(HOOK) if plots is None else plots, HOOK, report)


def write(
    report: CodesignReport, folder: Path, *, plots: Iterable[str] | None = None
) -> tuple[Path, ...]:
    """Writes codesign.json, codesign.csv and the plots; returns their paths. Raises InputError."""
    files = contents(report, plots)
    write_files(files, folder)
    return tuple(folder / name for name in files)


def read(path: Path) -> CodesignReport:
    """The report that `write` left at `path`. Raises InputError naming file, key and value."""
    return read_record(path, CodesignReport, what="a report")
