"""The command line: the verbs of `hwsim`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hwsim import completion, registry
from hwsim.compare_command import compare_runs
from hwsim.errors import InputError, UnknownNameError
from hwsim.explore_command import explore_space
from hwsim.machines_command import list_machines
from hwsim.map_command import map_layer
from hwsim.networks_command import list_networks
from hwsim.report_command import report as report_runs
from hwsim.shell import RESULTS, complaints, plain_app
from hwsim.simulate_command import simulate_network

app = plain_app()


def main() -> None:
    """The console script `hwsim`."""
    app(prog_name="hwsim")


@app.callback()
def hwsim() -> None:
    """Simulate neural-network accelerators, and what compression is worth on them."""


@app.command()
def run(
    name: Annotated[
        str,
        typer.Argument(
            help="A scenario, or the path of your own YAML.", autocompletion=completion.scenarios
        ),
    ] = "",
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
    effort: Annotated[
        int | None,
        typer.Option(min=0, help="Nests to try of all there are; 0: those of the dataflow alone."),
    ] = None,
    keep_on_chip: Annotated[
        bool, typer.Option("--keep-on-chip", help="Ofmaps stay in the buffer where that pays.")
    ] = False,
    show_list: Annotated[bool, typer.Option("--list", help="List the scenarios.")] = False,
) -> None:
    """Run a scenario: a network before and after compression, in joules, cycles and accuracy."""
    with complaints():
        if show_list and as_json:
            typer.echo(json.dumps(summaries("scenario"), indent=1))
        elif show_list:
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
                effort=effort,
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
    effort: int | None,
    workers: int | None,
    keep_on_chip: bool,
) -> None:
    from hwsim import experiment, report, table
    from hwsim.progress import shown
    from hwsim.scenario_file import load_scenario

    scenario = load_scenario(name, weights=weights, images=images, seed=seed, effort=effort)
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
        list[str] | None,
        typer.Argument(
            metavar="[SUBJECT]...",
            help="What to compare, else all.",
            autocompletion=completion.subjects,
        ),
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
    network: Annotated[
        str,
        typer.Argument(
            help="A network; `hwsim list networks` names all.", autocompletion=completion.networks
        ),
    ],
    machine: Annotated[
        str,
        typer.Option(
            help="A machine, or the path of your own YAML.", autocompletion=completion.machines
        ),
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


app.command("map")(map_layer)
app.command("report")(report_runs)
app.command("simulate")(simulate_network)
app.command("compare")(compare_runs)
app.command("machines")(list_machines)
app.command("networks")(list_networks)
app.command("explore")(explore_space)


@app.command("methods")
def list_methods(
    as_json: Annotated[bool, typer.Option("--json", help="Print the entries as JSON.")] = False,
    as_page: Annotated[bool, typer.Option("--markdown", help="Print a Markdown page.")] = False,
) -> None:
    """List every method of the catalogue: where it is, if it is here, and what was measured."""
    from rich.console import Console

    from hwsim.methods import as_table, methods

    with complaints():
        found = methods()
        if as_json:
            typer.echo(json.dumps([one.as_json() for one in found], indent=1))
        elif as_page:
            from hwsim.methods_page import page

            typer.echo(page(found), nl=False)
        else:
            Console().print(as_table(found), crop=False)


@app.command("list")
def list_names(
    kind: Annotated[
        str,
        typer.Argument(help="One kind alone, such as machine.", autocompletion=completion.kinds),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """List what is shipped: networks, machines, compressors, data sets, plots, scenarios."""
    with complaints():
        wanted = kind.replace("-", " ").removesuffix("s")
        if kind and wanted not in registry.PACKAGES:
            raise UnknownNameError(kind="kind", name=kind, known=registry.PACKAGES)
        kinds = [wanted] if kind else list(registry.PACKAGES)
        if as_json:
            typer.echo(json.dumps({f"{found}s": summaries(found) for found in kinds}, indent=1))
            return
        for found in kinds:
            typer.echo(f"{found}s")
            print_names(found, indent="  ")


def summaries(kind: str) -> dict[str, str]:
    """Every name of a kind, and what its file says of itself."""
    return {name: registry.summary(kind, name) for name in registry.names(kind)}


def print_names(kind: str, *, indent: str = "") -> None:
    """Prints every name of a kind and what its file says of itself."""
    found = summaries(kind)
    width = max(map(len, found), default=0)
    for name, said in found.items():
        typer.echo(f"{indent}{name:{width}}  {said}".rstrip())
