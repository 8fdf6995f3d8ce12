"""What each dataflow comes to at its best on Eyeriss: `python -m benchmarks.dataflows [EFFORT]`.

A row a layer and dataflow, after one of all mappings: EDP of the best that the dataflow's file
offers, and of the best that the search finds among all mappings of the dataflow; how far that lies
above the best of all mappings and above the bound on the dataflow's; and seconds of one core.
"""

import sys
from dataclasses import replace
from math import inf
from time import process_time
from typing import get_args

from benchmarks.peers.layers import DEPTHWISE, POINTWISE, RESNET
from hwsim.constraints import Constraints
from hwsim.dataflow import within_dataflow
from hwsim.dataflow_rules import Dataflow
from hwsim.errors import MappingError
from hwsim.found import EFFORT, Question
from hwsim.hardware import load_machine
from hwsim.mapper import best

LAYERS = (POINTWISE, DEPTHWISE, RESNET)
HEADS = ("offered", "best", "over all %", "gap %", "s")


def main(effort: int = EFFORT) -> None:
    """Prints the table, a row as soon as it is known."""
    machine = load_machine("eyeriss_v1")
    # Compiles what is not compiled yet, of which a layer whose gap closes at once needs less.
    best(Question(layer=RESNET, machine=machine, effort=effort))
    print(f"{'EDP, pJ x cycles':<44}" + "".join(f"{head:>11}" for head in HEADS))
    for layer in LAYERS:
        asked = Question(layer=layer, machine=machine, effort=effort)
        least = _row(asked, None, inf)
        for dataflow in get_args(Dataflow):
            _row(asked, dataflow, least)


def _row(free: Question, dataflow: Dataflow | None, least: float) -> float:
    """One row; what it found."""
    asked = replace(free, constraints=Constraints(dataflow=dataflow))
    try:
        offered = within_dataflow(asked).value
    except MappingError:
        offered = inf
    begun = process_time()
    found = best(asked)
    over = 100 * max(found.value / least - 1, 0)
    print(
        f"{free.layer.name:<26}{dataflow or 'all mappings':<18}{offered:>11.3e}{found.value:>11.3e}"
        f"{over:>11.1f}{100 * (found.gap or 0):>11.2f}{process_time() - begun:>11.1f}",
        flush=True,
    )
    return found.value


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
