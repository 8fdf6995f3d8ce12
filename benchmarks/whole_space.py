"""The search of the whole space beside the dataflow's: `python -m benchmarks.whole_space [EFFORT]`.

A row a layer: what each finds, how far that lies above the bound on all mappings, and seconds of
one core. The machine is the one on which peers are compared; energy is in hwsim's own accounting.
"""

import sys
from pathlib import Path
from time import process_time

from benchmarks.peers.layers import DEPTHWISE, M45_CONV2, M45_POINTWISE, RESNET
from hwsim.found import Question
from hwsim.hardware import load_machine
from hwsim.mapper import best
from hwsim.simulate import search
from hwsim.workload import Layer

MACHINE = Path(__file__).parent / "peers" / "m45.yaml"
EFFORT = 10_000_000
LAYERS = (
    M45_POINTWISE,
    Layer(name="linear 512->1000", K=1000, C=512),
    DEPTHWISE,
    M45_CONV2,
    RESNET,
)


def main(effort: int = EFFORT) -> None:
    """Prints the table, a row as soon as it is known."""
    machine = load_machine(str(MACHINE))
    # Compiles what is not compiled yet, of which a layer whose gap closes at once needs less.
    best(Question(layer=RESNET, machine=machine, objective="energy"))
    heads = ("dataflow µJ", "search µJ", "bound µJ", "gap %", "s")
    print(f"{'layer':<25}" + "".join(f"{head:>12}" for head in heads))
    for layer in LAYERS:
        before = search(Question(layer=layer, machine=machine, objective="energy", effort=0))
        begun = process_time()
        found = best(Question(layer=layer, machine=machine, objective="energy", effort=effort))
        seconds = process_time() - begun
        energies = (before.value, found.value, found.lower_bound)
        row = "".join(f"{energy / 1e6:>12.3f}" for energy in energies)
        print(
            f"{layer.name:<25}{row}{100 * (found.gap or 0):>12.2f}{seconds:>12.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
