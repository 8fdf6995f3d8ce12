"""Seconds and gaps of the search of all mappings, layer by layer of whole networks:
`python -m benchmarks.mapping_speed [MACHINE [OBJECTIVE [EFFORT [NETWORK ...]]]]`.

Every distinct layer is searched once, on one core and with warm kernels; seconds are the process's
own. A row a layer, then the median, the worst and the sum over all layers of each network.
"""

import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import process_time
from typing import cast

from hwsim.found import EFFORT, Found, Question
from hwsim.hardware import load_machine
from hwsim.mapper import best
from hwsim.networks import load_network
from hwsim.objective import Objective
from hwsim.workload import Layer

NETWORKS = ("mobilenet_v2", "resnet18", "alexnet")
# Shorter than a path; the machine on which peers are compared.
PEERS = Path(__file__).parent / "peers" / "m45.yaml"


def main(
    name: str = "eyeriss_v1",
    objective: str = "edp",
    effort: str = str(EFFORT),
    *networks: str,
) -> None:
    """Prints the tables, a row as soon as it is known."""
    machine = load_machine(str(PEERS) if name == "m45" else name)
    asked = Question(
        layer=Layer(name="window", K=64, C=64, P=14, Q=14, R=3, S=3, H=16, W=16),
        machine=machine,
        objective=cast(Objective, objective),
        effort=int(effort),
    )
    # Compiles what is not compiled yet, or loads it; a linear layer would need less.
    best(asked)
    known: dict[Layer, tuple[Found, float]] = {}
    for network in networks or NETWORKS:
        layers = [replace(layer, name="") for layer in load_network(network) if layer.weighted]
        print(f"{network}, {name}, {objective}, effort {int(effort):,}")
        for layer in dict.fromkeys(layers):
            if layer not in known:
                begun = process_time()
                found = best(replace(asked, layer=layer))
                known[layer] = found, process_time() - begun
            print(_row(layer, *known[layer]), flush=True)
        distinct = [known[layer] for layer in dict.fromkeys(layers)]
        print(_summary(distinct), flush=True)


def _row(layer: Layer, found: Found, seconds: float) -> str:
    bounds = " ".join(f"{dim}={bound}" for dim, bound in layer.bounds.items() if bound > 1)
    return f"{bounds:<42}{found.value:>14.5e}{100 * (found.gap or 0):>9.2f} %{seconds:>9.3f} s"


def _summary(found: list[tuple[Found, float]]) -> str:
    seconds = [own for _, own in found]
    gaps = [100 * (each.gap or 0) for each, _ in found]
    return (
        f"{len(found)} distinct layers: median {median(seconds):.3f} s, worst {max(seconds):.3f} s,"
        f" all {sum(seconds):.2f} s; gap median {median(gaps):.2f} %, worst {max(gaps):.2f} %\n"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
