"""The command line: the verbs of `hwsim`, their complaints and their exit statuses.

Status 0 is success, 2 something that the user can mend (one line on stderr), 130 Ctrl-C. Results
go to stdout, progress to stderr. Whatever else goes wrong is a defect and keeps its traceback.
"""

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from hwsim import registry
from hwsim.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from hwsim.map_request import Job

RESULTS = Path("results")
BAD_INPUT, INTERRUPTED = 2, 130


def plain_app() -> typer.Typer:
    """A command line without verbs yet, whose complaints are single lines."""
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


app = plain_app()


def main() -> None:
    """The console script `hwsim`."""
    app(prog_name="hwsim")


@contextmanager
def complaints() -> Iterator[None]:
    """Turns what the user can mend, and Ctrl-C, into a line on stderr and an exit status."""
    try:
        yield
        sys.stdout.flush()  # a pipe closed at the other end is noticed here, where typer hushes it
    except InputError as error:
        for line in str(error).splitlines():  # a user's mapping may have several faults
            typer.echo(f"error: {line}", err=True)
        raise typer.Exit(BAD_INPUT) from error
    except KeyboardInterrupt as interrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from interrupt


@app.callback()
def hwsim() -> None:
    """Simulate neural-network accelerators, and what compression is worth on them."""


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="A scenario, or the path of your own YAML.")] = "",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the results, else results/NAME."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="In place of the scenario's.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Trained weights for the network.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Images for the scenario's data set.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that map layers, else as many as pay.")
    ] = None,
    keep_on_chip: Annotated[
        bool, typer.Option("--keep-on-chip", help="Ofmaps stay in the buffer where that pays.")
    ] = False,
    show_list: Annotated[bool, typer.Option("--list", help="List the scenarios.")] = False,
) -> None:
    """Run a scenario: a network before and after compression, in joules, cycles and accuracy."""
    with complaints():
        if show_list:
            print_names("scenario")
        elif not name:
            known = ", ".join(registry.names("scenario"))
            raise InputError(f"name a scenario, or the path of your own YAML; known: {known}")
        else:
            _run(
                name,
                out=out,
                as_json=as_json,
                seed=seed,
                weights=weights,
                images=images,
                workers=workers,
                keep_on_chip=keep_on_chip,
            )


def _run(
    name: str,
    *,
    out: Path | None,
    as_json: bool,
    seed: int | None,
    weights: Path | None,
    images: Path | None,
    workers: int | None,
    keep_on_chip: bool,
) -> None:
    from hwsim import experiment, report, table
    from hwsim.progress import shown

    scenario = experiment.load_scenario(name, weights=weights, images=images, seed=seed)
    folder = out or RESULTS / scenario.name
    with shown() as progress:
        found = experiment.run(
            scenario, out=folder, workers=workers, keep_on_chip=keep_on_chip, progress=progress
        )
    if as_json:
        typer.echo(report.to_json(found), nl=False)
        return
    from rich.console import Console

    table.show(found, Console())
    typer.echo(f"\nreport.json, layers.csv and plots: {folder}")


@app.command()
def validate(
    subjects: Annotated[
        list[str] | None, typer.Argument(metavar="[SUBJECT]...", help="What to compare, else all.")
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of validation.md, its plots and JSON.")
    ] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Compare with published chips and simulators: every number, with its error and its source."""
    with complaints():
        _validate(subjects or [], out=out, as_json=as_json)


def _validate(chosen: list[str], *, out: Path, as_json: bool) -> None:
    from hwsim import validation_page, validation_table
    from hwsim.progress import shown
    from hwsim.results import check_writable, write_files
    from hwsim.validate import compare

    check_writable(out)
    with shown() as progress:
        found = compare(chosen, progress=progress)
        progress("drawing and writing the results")
        files = validation_page.contents(found)
        write_files(files, out)
    if as_json:
        typer.echo(files[validation_page.RECORDS].decode(), nl=False)
        return
    from rich.console import Console

    validation_table.show(found, Console())
    typer.echo(f"{out / validation_page.PAGE}, validation.json and plots: {out}")


@app.command()
def trace(
    network: Annotated[str, typer.Argument(help="A network; `hwsim list networks` names all.")],
    machine: Annotated[
        str, typer.Option(help="A machine, or the path of your own YAML.")
    ] = "eyeriss_v1",
    layer: Annotated[
        list[str] | None, typer.Option(help="This layer alone; repeat it for several.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=65536, help="Images at once.")] = 1,
    bits: Annotated[
        int | None, typer.Option(min=2, max=64, help="Of every tensor, else the machine's own.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder, else results/NETWORK_on_MACHINE.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the cycles as JSON.")] = False,
) -> None:
    """Play a network event by event: what is busy, what the PEs wait for, a timeline and a trace.

    trace.json opens in Perfetto (ui.perfetto.dev) and chrome://tracing.
    """
    with complaints():
        _trace(network, machine, layer or [], batch=batch, bits=bits, out=out, as_json=as_json)


def _trace(
    network: str,
    machine: str,
    layers: list[str],
    *,
    batch: int,
    bits: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    from hwsim import playback
    from hwsim.hardware import load_machine
    from hwsim.progress import shown
    from hwsim.results import check_writable, write_files

    where = load_machine(machine)
    folder = out or RESULTS / f"{network}_on_{where.name}"
    check_writable(folder)
    with shown() as progress:
        found = playback.play(
            network, where, layers=layers, batch=batch, bits=bits, progress=progress
        )
        progress("drawing and writing the results")
        write_files(playback.contents(found), folder)
    if as_json:
        typer.echo(playback.to_json(found), nl=False)
        return
    from rich.console import Console

    Console().print(playback.table(found))
    typer.echo(f"\ntrace.json and the timeline: {folder}")


@app.command("map")
def map_layer(
    context: typer.Context,
    layer: Annotated[
        str, typer.Option(metavar="WORDS", help="'K=64 C=64 P=56 Q=56 R=3 S=3', or a name.")
    ],
    chain: Annotated[
        list[str] | None,
        typer.Option(metavar="WORDS", help="A layer that follows, fused with it (repeat it)."),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="The network of which WORDS name a layer.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Images at once, of a network.")] = None,
    stride: Annotated[str | None, typer.Option(help="2, or 2,1 for rows and columns.")] = None,
    dilation: Annotated[str | None, typer.Option(help="Likewise.")] = None,
    pad: Annotated[str | None, typer.Option(help="Likewise; 0 unless given.")] = None,
    groups: Annotated[str | None, typer.Option(help="G; K and C are those of a group.")] = None,
    bits: Annotated[
        list[str] | None,
        typer.Option(help="8, or weight=4 (repeat it); as wide as the machine unless given."),
    ] = None,
    density: Annotated[
        list[str] | None, typer.Option(help="Share of non-zeros: 0.4, or ifmap=0.4 (repeat it).")
    ] = None,
    machine: Annotated[
        str, typer.Option(help="A machine, or the path of your own YAML.")
    ] = "eyeriss_v1",
    objective: Annotated[str, typer.Option(help="energy, cycles, edp or ed2p.")] = "edp",
    max_cycles: Annotated[int | None, typer.Option(help="The most cycles allowed.")] = None,
    front: Annotated[
        bool, typer.Option("--front", help="All that are best in energy and cycles.")
    ] = False,
    constraints: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML of what mappings may look like.")
    ] = None,
    dataflow: Annotated[str | None, typer.Option(help="row_stationary, ...")] = None,
    budget_s: Annotated[
        float | None, typer.Option(help="Seconds; the bound may then leave a gap.")
    ] = None,
    effort: Annotated[
        int | None, typer.Option(help="Nests to try of the whole space, such as 5000000.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Judge this mapping of yours instead.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the mapping and a plot.")
    ] = None,
    export: Annotated[
        list[str] | None, typer.Option(help="Also write it as timeloop or zigzag do (repeat it).")
    ] = None,
    samples: Annotated[int, typer.Option(help="Random mappings in the plot.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of these.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Find the best mapping of a layer and a bound that none falls below, or judge your own.

    The ifmap is what the windows reach: H = (P-1) stride + (R-1) dilation + 1 - 2 pad, W likewise,
    unless WORDS say H and W; hwsim/layer_text.py lists all words.
    """
    with complaints():
        given = {key: value for key, value in context.params.items() if value not in (None, ())}
        del given["as_json"]
        _map(given, as_json=as_json)


def _map(options: dict[str, object], *, as_json: bool) -> None:
    from hwsim import map_request

    job = map_request.job(options)
    if job.chain:
        _map_chain(job, as_json=as_json)
    else:
        _map_layer(job, as_json=as_json)


def _map_chain(job: "Job", *, as_json: bool) -> None:
    from hwsim import chain_output, mapped
    from hwsim.progress import shown

    with shown() as progress:
        progress(f"fusing {len(job.chain)} layers on {job.machine.name}")
        found = mapped.fused(job)
    if as_json:
        typer.echo(chain_output.to_json(found, job.machine), nl=False)
        return
    from rich.console import Console

    Console().print(chain_output.shown(found, job.machine), crop=False)


def _map_layer(job: "Job", *, as_json: bool) -> None:
    from hwsim import map_output, mapped
    from hwsim.progress import shown
    from hwsim.results import check_writable, write_files

    folder = job.request.out or (RESULTS / job.name if job.request.export else None)
    if folder:
        check_writable(folder)
    with shown() as progress:
        progress(f"mapping {job.layer.name} on {job.machine.name}")
        answers = mapped.answers(job)
        if folder:
            progress("drawing and writing the results")
            write_files(map_output.contents(job, answers), folder)
    if as_json:
        typer.echo(map_output.to_json(job, answers), nl=False)
        return
    from rich.console import Console

    Console().print(map_output.shown(job, answers), crop=False)
    if folder:
        typer.echo(f"\nthe mapping and its plot: {folder}")


@app.command("methods")
def list_methods(
    as_json: Annotated[bool, typer.Option("--json", help="Print the entries as JSON.")] = False,
) -> None:
    """List every method of the catalogue: where it is, if it is here, and what was measured."""
    import json

    from rich.console import Console

    from hwsim.methods import as_table, methods

    with complaints():
        found = methods()
        if as_json:
            typer.echo(json.dumps([one.as_json() for one in found], indent=1))
        else:
            Console().print(as_table(found), crop=False)


@app.command("list")
def list_names(
    kind: Annotated[str, typer.Argument(help="One kind alone, such as machine.")] = "",
) -> None:
    """List what is shipped: networks, machines, compressors, data sets, plots, scenarios."""
    with complaints():
        wanted = kind.replace("-", " ").removesuffix("s")
        if kind and wanted not in registry.PACKAGES:
            raise UnknownNameError(kind="kind", name=kind, known=registry.PACKAGES)
        for found in [wanted] if kind else registry.PACKAGES:
            typer.echo(f"{found}s")
            print_names(found, indent="  ")


def print_names(kind: str, *, indent: str = "") -> None:
    """Prints every name of a kind and what its file says of itself."""
    names = registry.names(kind)
    width = max((len(name) for name in names), default=0)
    for name in names:
        typer.echo(f"{indent}{name:{width}}  {_summary(kind, name)}".rstrip())


def _summary(kind: str, name: str) -> str:
    """The description in a YAML file, or the first line of a module's docstring."""
    package, suffix = registry.PACKAGES[kind]
    text = files(package).joinpath(name + suffix).read_text(encoding="utf-8")
    if suffix == ".py":
        said = ast.get_docstring(ast.parse(text)) or ""
    else:
        said = str(yaml.safe_load(text).get("description", ""))
    return next(iter(said.splitlines()), "")
