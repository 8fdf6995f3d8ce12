"""What `hwsim map` prints and writes: tables, JSON, mapping files, a plot of the space."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import yaml
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table

from hwsim import explain, gallery, layer_text, mapping_file, registry
from hwsim.errors import UnknownNameError
from hwsim.interchange import timeloop, zigzag
from hwsim.map_request import Job
from hwsim.map_space import Objective, Point, Space, points, sampled
from hwsim.mapped import Answer
from hwsim.table import digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOOK = "draw_space"
UNITS: dict[Objective, str] = {
    "energy": "pJ",
    "cycles": "cycles",
    "edp": "pJ x cycles",
    "ed2p": "pJ x cycles²",
}
FORMS = ("timeloop", "zigzag")


def record(job: Job, answer: Answer) -> dict[str, Any]:
    """An answer in plain values; `mapping` is what `hwsim.mapping.Mapping.from_yaml` reads."""
    found = answer.cost
    return {
        "layer": layer_text.text(job.layer),
        "machine": job.machine.name,
        "objective": answer.objective,
        "value": answer.value,
        "lower_bound": answer.lower_bound,
        "gap": answer.gap,
        "energy_pj": found.energy_pj,
        "cycles": found.cycles,
        "bound": found.bound,
        "utilization": found.utilization,
        "energy_by_component_pj": found.energy_by_component_pj,
        "evaluated": answer.evaluated,
        "seconds": answer.seconds,
        "mapping": answer.mapping.to_yaml(),
    }


def to_json(found: object) -> str:
    """Records as a text."""
    return json.dumps(found, indent=2) + "\n"


def explained(job: Job, answer: Answer) -> RenderableType:
    """The nest, what every memory keeps, where energy and time go, and the bound."""
    return Group(
        f"{layer_text.text(job.layer)}\non {job.machine.name}\n",
        explain.nest(answer.mapping, job.layer),
        "",
        explain.memory_table(answer.mapping, job.layer, job.machine),
        "",
        explain.energy_table(answer.cost),
        "",
        explain.time_line(answer.cost, job.machine),
        _verdict(answer),
    )


def _verdict(answer: Answer) -> str:
    """The objective's value, how far it may be from the best, and what that took to know."""
    said = f"{answer.objective} {answer.value:.6g} {UNITS[answer.objective]}"
    if answer.gap is None:
        return said
    return (
        f"{said}, at least {answer.lower_bound:.6g} (gap {100 * answer.gap:.2g} %); "
        f"{answer.evaluated:,} evaluated in {digits(answer.seconds)} s"
    )


def front_table(job: Job, answers: Iterable[Answer]) -> Table:
    """The Pareto front, fastest first."""
    shown = Table(box=box.HORIZONTALS, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for head in ("cycles", "ms", "energy µJ", "µJ x ms", "PE %", "bound by"):
        shown.add_column(head, justify="left" if head == "bound by" else "right", no_wrap=True)
    for answer in answers:
        found = answer.cost
        ms, microjoules = found.cycles / job.machine.clock_mhz / 1e3, found.energy_pj / 1e6
        cells = digits(ms), digits(microjoules), digits(ms * microjoules)
        shown.add_row(f"{found.cycles:,}", *cells, f"{100 * found.utilization:.1f}", found.bound)
    return shown


def contents(
    job: Job,
    answers: Sequence[Answer],
    *,
    label: str,
    exports: Sequence[str],
    samples: int,
    seed: int,
) -> dict[str, bytes]:
    """A folder's files: mappings, numbered where there are several, other tools' forms, the plot.

    Raises MappingError on what another tool's form cannot say.
    """
    files: dict[str, bytes] = {}
    for number, answer in enumerate(answers, start=1):
        name = "mapping" if len(answers) == 1 else f"mapping_{number}"
        text = mapping_file.text(
            answer.mapping, layer=layer_text.text(job.layer), machine=job.machine.name
        )
        files[f"{name}.yaml"] = text.encode()
        files |= {f"{name}.{form}.yaml": exported(job, answer, form) for form in exports}
    return files | _plot(_space(job, answers, label, samples, seed))


def exported(job: Job, answer: Answer, form: str) -> bytes:
    """The mapping as another tool's file. Raises MappingError on what its form cannot say."""
    records: object
    if form == "timeloop":
        records = {"mapping": timeloop.export(answer.mapping, job.layer, job.machine)}
    elif form == "zigzag":
        nest = zigzag.export(answer.mapping, job.layer, job.machine)
        axes = {axis: f"D{n}" for n, axis in enumerate(job.machine.arrays[0].axes, start=1)}
        records = zigzag.file_records(nest, axes=axes)
    else:
        raise UnknownNameError(kind="form", name=form, known=FORMS)
    return yaml.safe_dump(records, sort_keys=False).encode()


def _space(job: Job, answers: Sequence[Answer], label: str, samples: int, seed: int) -> Space:
    mappings = sampled(
        job.layer, job.machine, count=samples, seed=seed, constraints=job.constraints
    )
    shape = " ".join(f"{dim}={size}" for dim, size in job.layer.bounds.items() if size > 1)
    return Space(
        title=f"Mappings of {shape} on {job.machine.name}",
        samples=points(job.layer, job.machine, mappings),
        found=tuple(Point(each.cost.energy_pj, each.cost.cycles) for each in answers),
        label=label,
        objective=answers[0].objective,
        lower_bound=answers[0].lower_bound if len(answers) == 1 else None,
        max_cycles=job.max_cycles,
    )


def _plot(space: Space) -> dict[str, bytes]:
    files = {}
    for name in gallery.plots(HOOK):
        draw = registry.hook(registry.module("plot", name), HOOK)
        figure = cast("Figure", draw(space))
        for suffix in ("png", "svg"):
            files[f"{name}.{suffix}"] = gallery.image(figure, suffix)
    return files
