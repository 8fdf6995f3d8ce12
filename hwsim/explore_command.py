"""The verb `hwsim explore`: a space of machines, networks and plans, and what is best in it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwsim import completion
from hwsim.shell import RESULTS, complaints

if TYPE_CHECKING:
    from hwsim.explore.findings import Findings
    from hwsim.explore.run import Run
    from hwsim.explore.space import Space
    from hwsim.progress import Progress

LINE = 160  # columns of a file or a pipe


def explore_space(
    name: Annotated[
        str,
        typer.Argument(
            help="A space, or the path of your own YAML.", autocompletion=completion.spaces
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the results, else results/NAME.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where all points are kept, else DIR/points.sqlite."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, else one for each processor.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A Dask scheduler, or local:N."),
    ] = None,
    points: Annotated[
        int | None, typer.Option(min=1, help="How many to draw or search, not the space's number.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="In place of the space's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Explore a space of machines: the Pareto front, what each parameter does, who is best.

    What was evaluated is kept: stopped with Ctrl-C, or killed, the same command goes on.
    """
    with complaints():
        space = _space(name, points=points, seed=seed)
        folder = out or RESULTS / space.name
        found = _explored(space, folder, store, workers=workers, cluster=cluster)
        _say(found, folder, as_json=as_json)


def _space(name: str, *, points: int | None, seed: int | None) -> "Space":
    from hwsim.errors import InputError
    from hwsim.explore.space import Grid, load_space

    space, file = load_space(name)
    given = {"points": points, "seed": seed}
    changes = {key: value for key, value in given.items() if value is not None}
    if not changes:
        return space
    if isinstance(space.strategy, Grid):
        raise InputError(f"{file}: strategy.kind = 'grid': takes all points, and no seed")
    return space.model_copy(update={"strategy": space.strategy.model_copy(update=changes)})


def _explored(
    space: "Space", folder: Path, store: Path | None, *, workers: int | None, cluster: str | None
) -> "Findings":
    from hwsim.explore.crew import crew
    from hwsim.explore.findings import findings
    from hwsim.explore.output import MOST_UNFOLDED, contents, spread
    from hwsim.explore.run import explore
    from hwsim.explore.store import FILE
    from hwsim.explore.unfold import unfold
    from hwsim.progress import shown
    from hwsim.results import check_writable, write_files

    check_writable(folder)
    with shown() as progress:
        run = _run(space, store or folder / FILE, progress)
        with crew(workers=workers, cluster=cluster) as members:
            explore(run, members, progress=progress)
            found = findings(run)
            progress("layers of the front")
            layers = unfold(run.task, members, spread(found.front, MOST_UNFOLDED))
        progress("drawing and writing the results")
        write_files(contents(found, layers), folder)
    return found


def _run(space: "Space", store: Path, progress: "Progress") -> "Run":
    from hwsim.explore.evaluate import Task
    from hwsim.explore.run import Run
    from hwsim.explore.space import machine_contents
    from hwsim.explore.store import Store
    from hwsim.explore.workloads import load_workloads

    kept = Store(store)  # refused before networks are loaded
    task = Task(space, machine_contents(space), load_workloads(space, progress=progress))
    return Run.of(task, kept)


def _say(found: "Findings", folder: Path, *, as_json: bool) -> None:
    from hwsim.explore import output
    from hwsim.explore.findings import to_json

    if as_json:
        typer.echo(to_json(found), nl=False)
        return
    from rich.console import Console

    screen = Console()
    wide = max(100, screen.width) if screen.is_terminal else LINE
    Console(width=wide).print(output.shown(found), crop=False)
    typer.echo(f"\nfindings.json, tables and plots: {folder}")
