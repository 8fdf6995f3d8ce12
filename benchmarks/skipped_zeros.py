"""Layers half of whose words are zeros on a machine that skips them, mapped with lanes that wait:
`python -m benchmarks.skipped_zeros [EFFORT]`.

A row a layer: EDP of the best of the few of its dataflow that are counted, and of the best that the
search finds among all mappings; how far that lies above the bound on all, which lets no lane wait,
and how far above what it would come to itself if none did; and seconds of one core.
"""

import sys
from dataclasses import replace
from time import process_time

from benchmarks.peers.layers import DEPTHWISE, POINTWISE, RESNET
from hwsim.cost import cost
from hwsim.dataflow import within_dataflow
from hwsim.found import EFFORT, Question
from hwsim.hardware import load_machine
from hwsim.mapper import best
from hwsim.skipping import balanced_cycles
from hwsim.workload import Layer, Op, Tensor

LINEAR = Layer(name="linear 512->1000", op=Op.LINEAR, K=1000, C=512)
LATE = Layer(name="ResNet-18 3x3 512->512", K=512, C=512, P=7, Q=7, R=3, S=3, pad_h=1, pad_w=1)
LAYERS = (POINTWISE, DEPTHWISE, LINEAR, RESNET, LATE)
HALF = Tensor(bits=8, density=0.5)
HEADS = ("dataflow", "search", "gap %", "waiting %", "s")


def main(effort: int = EFFORT) -> None:
    """Prints the table, a row as soon as it is known."""
    machine = load_machine("zero_skipping")
    asked = [
        Question(layer=replace(layer, ifmap=HALF, weight=HALF, ofmap=HALF), machine=machine)
        for layer in LAYERS
    ]
    best(replace(asked[0], effort=effort))  # compiles what is not compiled yet
    print(f"{'EDP, pJ x cycles':<26}" + "".join(f"{head:>11}" for head in HEADS))
    for question in asked:
        _row(replace(question, effort=effort))


def _row(asked: Question) -> None:
    """One row."""
    layer, machine = asked.layer, asked.machine
    offered, begun = within_dataflow(asked).value, process_time()
    found = best(asked)
    seconds = process_time() - begun
    even = cost(layer, found.mapping, machine, arithmetic=balanced_cycles)
    waiting = 100 * (found.value / (even.energy_pj * even.cycles) - 1)
    print(
        f"{layer.name:<26}{offered:>11.3e}{found.value:>11.3e}"
        f"{100 * (found.gap or 0):>11.2f}{waiting:>11.2f}{seconds:>11.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
