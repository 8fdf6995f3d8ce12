"""EIE's nine fully connected layers: a matrix of few non-zeros times a vector of few non-zeros.

64 PEs at 800 MHz share the rows of the matrix, PE k those numbered k, k + 64, ... The non-zero
activations are broadcast, one a cycle, into a queue of 8 before each PE, and the sender waits while
any queue is full. An activation costs a PE a cycle for each entry that it holds of that column:
non-zeros, and the padding zeros of the 4-bit relative index; a column without any still takes the
cycle that reads its pointers. Vectors of more than 4096 activations are worked off in batches, and
the queues run empty between them. `theoretical_us` is the entries, padding included, spread evenly.

Zeros are drawn for each layer, seed 0, at the published densities, each element by itself. Nothing
is fitted. The energy is the published power of 0.59 W times the latency on both sides, so that its
error is the latency's.

The densities are all that was published, rounded to whole percent for the weights, and that is
where the larger errors come from: they are in `theoretical_us` already, which no queue touches.
VGG's FC6 is the worst. Half a percent more or less at 4 % changes its work by 8 %, and pruned
weights are not spread evenly: where they are scarce runs grow longer, and padding with them. For
AlexNet's FC8, whose runs need no padding, the published work exceeds weights times activations by a
fifth: activations that are seldom zero meet columns that pruning spared. The queues add 3 % to 56 %
to the even spread, published 4 % to 54 %: most where a PE holds one entry of a column (NeuralTalk's
We), little where it holds many. Where they add too little, as in VGG's FC6 and the LSTM, rows that
kept more weights than others would explain it; rows drawn alike have no such PEs.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from hwsim.skipping import column_entries, queue_cycles
from hwsim.validate import Row, published

SEED = 0


def rows() -> Iterator[Row]:
    """Three rows a layer: time with perfect balance, time, energy."""
    table = published("eie")
    for row in table["rows"]:
        layer = dict(zip(table["columns"], row, strict=True))
        entries, cycles = _work(layer, table)
        actual_us = layer["actual_us"]
        yield _row(layer, "theoretical_us", layer["theoretical_us"], entries / table["pes"], table)
        yield _row(layer, "latency_us", actual_us, cycles, table)
        yield _row(layer, "energy_uj", actual_us * table["power_w"], cycles, table)


def _row(
    layer: dict[str, Any], quantity: str, found: float, cycles: float, table: dict[str, Any]
) -> Row:
    time_us = cycles / table["clock_mhz"]
    derived = quantity == "energy_uj"
    return Row(
        machine="eie",
        network=layer["network"],
        layer=layer["layer"],
        quantity=quantity,
        published=found,
        simulated=time_us * table["power_w"] if derived else time_us,
        source=f"Han et al., ISCA 2016, {layer['published']}" + ", latency x 0.59 W" * derived,
    )


def _work(layer: dict[str, Any], table: dict[str, Any]) -> tuple[int, int]:
    """Entries of the columns that are used, and cycles, one batch after the other."""
    random = np.random.default_rng(SEED)
    nonzeros = round(layer["in"] * layer["act"] / 100)
    active = random.permutation(layer["in"]) < nonzeros
    longest, entries, cycles = table["longest_vector"], 0, 0
    for first_row in range(0, layer["out"], longest):
        rows = min(longest, layer["out"] - first_row)
        for first in range(0, layer["in"], longest):
            columns = int(active[first : first + longest].sum())
            weight = random.random((rows, columns), dtype=np.float32) < layer["weight"] / 100
            work = column_entries(weight, lanes=table["pes"], index_bits=table["index_bits"])
            entries += int(work.sum())
            cycles += queue_cycles(work, depth=table["queue_depth"])
    return entries, cycles
