"""The verb `hwsim report`: runs as one page of HTML."""

from pathlib import Path
from typing import Annotated

import typer

from hwsim.errors import InputError
from hwsim.shell import RESULTS, complaints

NAME, NAME_OF_SEVERAL = "report.html", "comparison.html"


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folders that `hwsim run`, `simulate` or `explore` wrote, or the files in them.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The page, else report.html in RUN, or results/comparison.html."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the page's place and what is on it as JSON.")
    ] = False,
) -> None:
    """Write one HTML page of a run, or of several side by side, that opens from disk."""
    with complaints():
        _report(runs, out=out, as_json=as_json)


def _report(paths: list[Path], *, out: Path | None, as_json: bool) -> None:
    import json

    from hwsim.page import page, runs
    from hwsim.results import check_writable, write_files

    found = runs.load(paths)
    file = out or _place(paths)
    if file.is_dir():
        raise InputError(f"{file}: is a folder; name the file that the page is to be")
    check_writable(file.parent)
    write_files({file.name: page.html(found).encode()}, file.parent)
    if not as_json:
        typer.echo(file)
        return
    shown = [
        {"title": run.title, "sides": len(run.sides), "points": len(run.front)} for run in found
    ]
    typer.echo(json.dumps({"page": str(file), "runs": shown}, indent=1, ensure_ascii=False))


def _place(paths: list[Path]) -> Path:
    """Beside the report of a single run; a page of several belongs to none of them."""
    if len(paths) > 1:
        return RESULTS / NAME_OF_SEVERAL
    return (paths[0] if paths[0].is_dir() else paths[0].parent) / NAME
