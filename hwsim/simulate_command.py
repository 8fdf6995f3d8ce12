"""The verb `hwsim simulate`: a network from anywhere on one machine."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from hwsim import completion
from hwsim.errors import ConfigError
from hwsim.objective import Objective
from hwsim.shell import RESULTS, complaints


def simulate_network(
    network: Annotated[
        str,
        typer.Argument(
            help="A network's name, or the path of an .onnx or .pt2 file.",
            autocompletion=completion.networks_and_files,
        ),
    ],
    machine: Annotated[
        str,
        typer.Option(
            help="A machine, or the path of your own YAML.", autocompletion=completion.machines
        ),
    ] = "eyeriss_v1",
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=N,C,H,W", help="Sizes that an ONNX file leaves open (repeat it)."
        ),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, max=65536, help="Images at once, else one.")
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            min=2, max=64, help="Of what the network does not quantise, else the machine's own."
        ),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(help="energy, cycles, edp or ed2p.", autocompletion=completion.objectives),
    ] = "edp",
    effort: Annotated[
        int,
        typer.Option(min=0, help="Nests to try of all there are; 0: those of the dataflow alone."),
    ] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that map layers, else as many as pay.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder, else results/NETWORK_on_MACHINE.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Simulate a network: a shipped one, an ONNX file or a program that torch.export saved.

    Each layer runs under its best mapping. Quantised models keep their bit-widths, weights their
    zeros; maps count as free of zeros, as no images are run.
    """
    with complaints():
        known = get_args(Objective)
        if objective not in known:
            reason = f"must be one of {', '.join(known)}"
            raise ConfigError(
                file="hwsim simulate", key="--objective", value=objective, reason=reason
            )
        _simulate(
            network,
            machine,
            shape or [],
            batch=batch,
            bits=bits,
            objective=objective,  # type: ignore[arg-type]  # one of those just checked
            effort=effort,
            workers=workers,
            out=out,
            as_json=as_json,
        )


def _simulate(
    source: str,
    machine: str,
    shapes: list[str],
    *,
    batch: int | None,
    bits: int | None,
    objective: Objective,
    effort: int,
    workers: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    from itertools import count

    from hwsim import single
    from hwsim.hardware import load_machine
    from hwsim.progress import shown
    from hwsim.reach import prelude
    from hwsim.results import check_writable, write_files
    from hwsim.simulate import simulate
    from hwsim.source import read_network, shape_options

    where = load_machine(machine)
    width = bits or min(where.mac.ifmap_bits, where.mac.weight_bits)
    folder = out or RESULTS / f"{Path(source).stem}_on_{where.name}"
    check_writable(folder)
    with shown() as progress:
        progress(f"loading network {source}")
        sizes = shape_options(shapes)
        network = read_network(source, shapes=sizes, batch=batch, bits=width)
        stage = f"simulating {where.name}{prelude() if effort else ''}"
        done, total = count(1), len(network.layers)
        result = simulate(
            network,
            where,
            objective=objective,
            effort=effort,
            workers=workers,
            progress=lambda _: progress(stage, next(done), total),
        )
        run = single.record(result, source=source, objective=objective, effort=effort)
        write_files(single.contents(run), folder)
    if as_json:
        typer.echo(single.to_json(run), nl=False)
        return
    from rich.console import Console

    Console().print(single.shown(run), crop=False)
    typer.echo(f"\nrun.json and layers.csv: {folder}")
