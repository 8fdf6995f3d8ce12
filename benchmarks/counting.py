"""Counting accesses axis by axis, beside walking the loop nest: `python -m benchmarks.counting`.

The walk visits every point, so its time grows with a layer's MACs; the count's hardly does. Both
give the same numbers, which is checked before a row is printed.
"""

from collections.abc import Callable
from functools import partial
from time import perf_counter

from hwsim.mapping import Loop, Mapping, Store
from hwsim.reuse import access_counts
from hwsim.workload import TENSORS, Layer
from tests import oracle

SHARED = {"X": frozenset(TENSORS), "Y": frozenset(TENSORS)}
SIZES = (3, 4, 6, 8)
REPEATS = 20


def convolution(size: int) -> Layer:
    """A padded 3x3 convolution, `size` channels to `size` filters, one column more than rows."""
    return Layer(name="conv", K=size, C=size, P=size, Q=size + 1, R=3, S=3, pad_h=1, pad_w=1)


def row_stationary() -> Mapping:
    """Filter rows down, ofmap rows across, two channels at a time in the buffer."""
    return Mapping(
        (
            Store("DRAM", TENSORS),
            Loop("C", 2),
            Store("GLB", ("ifmap", "ofmap")),
            Loop("R", 1, "Y"),
            Loop("P", 1, "X"),
            Store("spad", ("weight",)),
            Loop("Q", 1),
            Store("spad", ("ifmap", "ofmap")),
            Loop("S", 1),
            Loop("C", 1),
            Loop("K", 1),
        )
    )


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The shortest of several runs."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def main() -> None:
    """Prints a row per size: MACs, both times, and how many times as long the walk takes."""
    print(f"{'MACs':>8} {'count ms':>9} {'walk ms':>9} {'ratio':>8}")
    for layer in map(convolution, SIZES):
        mapping = row_stationary()
        walked = oracle.walk(layer, mapping, shared=SHARED, padding=False)
        assert list(access_counts(layer, mapping, shared=SHARED)) == walked
        count = seconds(partial(access_counts, layer, mapping, shared=SHARED), REPEATS)
        walk = seconds(partial(oracle.walk, layer, mapping, shared=SHARED, padding=False), 1)
        print(f"{layer.macs:8} {1e3 * count:9.2f} {1e3 * walk:9.1f} {walk / count:8.0f}")


if __name__ == "__main__":
    main()
