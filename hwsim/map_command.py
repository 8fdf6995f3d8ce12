"""The verb `hwsim map`: one layer's mapping, or a chain of layers fused."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwsim import completion
from hwsim.shell import RESULTS, complaints

if TYPE_CHECKING:
    from hwsim.map_request import Job


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
        str | None,
        typer.Option(
            help="The network of which WORDS name a layer.", autocompletion=completion.networks
        ),
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
        str,
        typer.Option(
            help="A machine, or the path of your own YAML.", autocompletion=completion.machines
        ),
    ] = "eyeriss_v1",
    objective: Annotated[
        str,
        typer.Option(help="energy, cycles, edp or ed2p.", autocompletion=completion.objectives),
    ] = "edp",
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
        int | None,
        typer.Option(help="Nests to try of all there are; 0: those of the dataflow alone."),
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
        answers = mapped.answers(job, progress)
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
