"""The verb `hwsim compare`: two runs, layer by layer."""

from typing import Annotated

import typer

from hwsim.shell import complaints

PLACE = "A folder of results or its JSON; of a scenario the compressed side, or PATH:baseline."


def compare_runs(
    first: Annotated[str, typer.Argument(metavar="A", help=PLACE)],
    second: Annotated[str, typer.Argument(metavar="B", help=PLACE)],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Compare two runs of `hwsim simulate` or `hwsim run`: each layer, the totals, and the gains.

    A gain is A divided by B: above 1, B is better.
    """
    from hwsim import comparison

    with complaints():
        sides = comparison.compare(comparison.side(first), comparison.side(second))
        if as_json:
            typer.echo(sides.comparison.model_dump_json(indent=1))
            return
        from rich.console import Console

        Console().print(comparison.shown(sides), crop=False)
