"""One processing element of Eyeriss v2 on the 1x1 convolutions of sparse MobileNet 0.5-128.

The PE skips zeros of the ifmap and of the weights: a cycle for each MAC of two non-zeros. The
published cycles were counted from the network's own non-zeros, of which the densities alone are at
hand; hwsim draws zeros at those densities, each element by itself, and counts. A single PE waits
for no other, so that all the error is what random zeros miss, and every estimate is too low, by
1 % to 5 %: channels that are seldom zero meet filters that kept their weights. Counting from the
tensor's own zeros is what mends it.

The chip as a whole is left out. Its 192 PEs of two MACs could work off the published cycles of all
28 layers, 23.8 million, 3229 times a second if they never waited, and the chip does 1471: the rest
is load balance, depthwise layers that cannot fill two MACs, and bandwidth. Which share is whose
depends on a mapping that was not published, and a number from a made-up one would prove nothing.
"""

from collections.abc import Iterator
from dataclasses import replace

from hwsim.mapping import Loop, Mapping
from hwsim.skipping import expected_cycles
from hwsim.validate import Row, published
from hwsim.workload import Layer, Tensor

ONE_PE = Mapping(tuple(Loop(dim, 1) for dim in "PQCK"))
SEED = 0


def rows() -> Iterator[Row]:
    """Cycles of each layer whose densities were published."""
    table = published("eyeriss_v2")
    for row in table["rows"]:
        found = dict(zip(table["columns"], row, strict=True))
        layer = Layer(name=found["layer"], K=found["K"], C=found["C"], P=found["P"], Q=found["P"])
        layer = replace(
            layer,
            ifmap=Tensor(density=found["ifmap_density"]),
            weight=Tensor(density=found["weight_density"]),
        )
        yield Row(
            machine="eyeriss_v2_pe",
            network="sparse MobileNet 0.5-128",
            layer=layer.name,
            quantity="cycles",
            published=found["cycles"],
            simulated=expected_cycles(
                layer, ONE_PE, sync=0, skipped=("ifmap", "weight"), seed=SEED
            ),
            source=table["source"].strip(),
        )
