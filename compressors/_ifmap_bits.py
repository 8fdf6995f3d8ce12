"""How wide the words are that each layer of a compressed network reads."""

from collections.abc import Mapping

import networkx

from hwsim.workload import Network, Op

# A layer without weights that hands on words as narrow as its reader's.
HANDS_ON = frozenset({Op.POOL, Op.ACTIVATION, Op.CONCAT, Op.COPY})


def ifmap_bits(network: Network, asked: Mapping[str, int], bits: int) -> dict[str, int]:
    """The width of each layer's ifmap: what it `asked` for, or what those need that it hands it to.

    `bits` where neither says.
    """
    widths: dict[str, int] = {}
    for name in reversed(list(networkx.topological_sort(network.graph))):
        layer = network[name]
        readers = [widths[reader] for reader in network.graph.successors(name)]
        handed = max(readers, default=bits) if layer.op in HANDS_ON else bits
        widths[name] = asked.get(name, handed)
    return widths
