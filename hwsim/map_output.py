"""What `hwsim map` prints and writes: tables, JSON, mapping files, a plot of the space."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import yaml
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwsim import explain, gallery, layer_text, mapping_file
from hwsim.errors import MappingError
from hwsim.found import Found
from hwsim.interchange import timeloop, zigzag
from hwsim.map_request import Job
from hwsim.map_space import Point, Space, points, sampled
from hwsim.objective import UNITS
from hwsim.ruled import ruled
from hwsim.table import digits

HOOK = "draw_space"


def to_json(job: Job, answers: Sequence[Found]) -> str:
    """The answer, or the front as a list of such; `mapping` is what `Mapping.from_yaml` reads."""
    records = [_record(job, answer) for answer in answers]
    found = {"front": records} if job.request.front else records[0]
    return json.dumps(found, indent=2) + "\n"


def _record(job: Job, answer: Found) -> dict[str, Any]:
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
        "space": answer.space,
        "reason": answer.reason or None,
        "evaluated": answer.evaluated,
        "seconds": answer.seconds,
        "cached": answer.cached,
        "mapping": answer.mapping.to_yaml(),
    }


def shown(job: Job, answers: Sequence[Found]) -> RenderableType:
    """The front as a table, or one mapping explained."""
    said = _unwrapped(f"{layer_text.text(job.layer)}\non {job.machine.name}\n")
    if job.request.front:
        return Group(said, _front_table(job, answers), "", _searched(answers[0]))
    (answer,) = answers
    return Group(
        said,
        _unwrapped(f"{explain.nest(answer.mapping, job.layer)}\n"),
        explain.memory_table(answer.mapping, job.layer, job.machine),
        "",
        explain.energy_table(answer.cost),
        "",
        explain.time_line(answer.cost, job.machine),
        _verdict(job, answer),
    )


def _unwrapped(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ignore")


def _verdict(job: Job, answer: Found) -> str:
    """The objective's value, how far from the best it may be, and what it took to know."""
    said = f"{answer.objective} {answer.value:.6g} {UNITS[answer.objective]}"
    if answer.gap is not None:
        said += f"; no mapping below {answer.lower_bound:.6g} (gap {digits(100 * answer.gap)} %)"
    if not job.request.mapping:
        earlier = ", in an earlier run" if answer.cached else ""
        said += f"\n{answer.evaluated:,} evaluated in {digits(answer.seconds)} s{earlier}"
        said += f"\n{_searched(answer)}"
    return said


def _searched(answer: Found) -> str:
    """The space, and why not all of it."""
    if answer.space == "whole":
        return "searched: all mappings"
    of = "the dataflow's mappings" if answer.space == "dataflow" else "one mapping"
    return f"searched: {of}" + (f"; {answer.reason}" if answer.reason else "")


def _front_table(job: Job, answers: Iterable[Found]) -> Table:
    """The Pareto front, fastest first."""
    shown = ruled()
    for head in ("cycles", "ms", "energy µJ", "µJ x ms", "PE %", "bound by"):
        shown.add_column(head, justify="left" if head == "bound by" else "right", no_wrap=True)
    for answer in answers:
        found = answer.cost
        ms, microjoules = found.cycles / job.machine.clock_mhz / 1e3, found.energy_pj / 1e6
        cells = digits(ms), digits(microjoules), digits(ms * microjoules)
        shown.add_row(f"{found.cycles:,}", *cells, f"{100 * found.utilization:.1f}", found.bound)
    return shown


def contents(job: Job, answers: Sequence[Found]) -> dict[str, bytes]:
    """A folder's files: mappings, numbered if several, in other tools' forms too; the plot.

    Raises MappingError on what another tool's form cannot say.
    """
    files: dict[str, bytes] = {}
    for number, answer in enumerate(answers, start=1):
        name = "mapping" if len(answers) == 1 else f"mapping_{number}"
        files[f"{name}.yaml"] = mapping_file.text(
            answer.mapping, layer=layer_text.text(job.layer), machine=job.machine.name
        ).encode()
        for form in job.request.export:
            files[f"{name}.{form}.yaml"] = _exported(job, answer, form)
    return files | gallery.images(gallery.plots(HOOK), HOOK, _space(job, answers))


def _exported(job: Job, answer: Found, form: str) -> bytes:
    """The mapping as another tool's file."""
    records: object
    try:
        if form == "timeloop":
            records = {"mapping": timeloop.export(answer.mapping, job.layer, job.machine)}
        else:
            nest = zigzag.export(answer.mapping, job.layer, job.machine)
            axes = {axis: f"D{n}" for n, axis in enumerate(job.machine.arrays[0].axes, start=1)}
            records = zigzag.file_records(nest, axes=axes)
    except MappingError as error:
        raise MappingError(f"--export {form}: {error}") from error
    return yaml.safe_dump(records, sort_keys=False).encode()


def _space(job: Job, answers: Sequence[Found]) -> Space:
    """The answers among random mappings."""
    request, best = job.request, answers[0]
    random = sampled(
        job.layer,
        job.machine,
        count=request.samples,
        seed=request.seed,
        constraints=job.constraints,
    )
    shape = " ".join(f"{dim}={size}" for dim, size in job.layer.bounds.items() if size > 1)
    return Space(
        title=f"Mappings on {job.machine.name}\n{shape}".strip(),
        samples=points(job.layer, job.machine, random),
        found=tuple(Point(answer.cost.energy_pj, answer.cost.cycles) for answer in answers),
        label=_label(job, best),
        objective=best.objective,
        lower_bound=None if request.front else best.lower_bound,
        max_cycles=request.max_cycles,
    )


def _label(job: Job, best: Found) -> str:
    """What the stars of the plot are; a mapping is called the best where that is proven."""
    if job.request.front:
        return "front"
    if job.request.mapping:
        return "your mapping"
    return "best mapping" if best.gap == 0 else "best mapping found"
