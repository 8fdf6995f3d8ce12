"""How large the layers of a network are when filters go, without tracing each proposal."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor, nn

from compressors.adapt._cost import Workload
from compressors.structure._groups import Group
from compressors.structure._remove import remove_
from hwsim.workload import Layer, Network

SIZES = ("G", "K", "C", "H", "W", "P", "Q")
# Filters that go together and are all alike: the layers that make them.
Kind: TypeAlias = tuple[str, ...]
Counts = Mapping[Kind, int]


def kinds(group: Group) -> dict[Kind, Tensor]:
    """The atoms of a group by the layers that make them."""
    found = {}
    for atoms in group.strata:
        makers = (each for each in group.on("out") if bool((each.atoms == atoms[0]).any()))
        found[tuple(each.path for each in makers)] = atoms
    return found


def counts_of(groups: Sequence[Group]) -> dict[Kind, int]:
    """How many filters of each kind there are."""
    return {kind: len(atoms) for group in groups for kind, atoms in kinds(group).items()}


@dataclass(frozen=True)
class Sizes:
    """A traced `network`, its `counts`, and by how much a size falls with each filter of a kind.

    Every filter of a kind takes as much: sizes are linear in how many there are.
    """

    traced: Network
    counts: Counts
    slopes: Mapping[Kind, Mapping[str, Mapping[str, int]]]

    @staticmethod
    def of(model: nn.Module, groups: Sequence[Group], workload: Workload) -> "Sizes":
        """Traces the network once, and once without one filter of each kind."""
        traced = workload.network(model)
        slopes = {}
        for group in groups:
            for kind, atoms in kinds(group).items():
                if len(atoms) > 1:
                    smaller = copy.deepcopy(model)
                    keep = torch.ones(group.size, dtype=torch.bool)
                    keep[atoms[0]] = False
                    remove_(smaller, {group: keep})
                    slopes[kind] = _differences(traced, workload.network(smaller))
        return Sizes(traced, counts_of(groups), slopes)

    def network(self, counts: Counts) -> Network:
        """The network with so many filters of each kind."""
        falls: dict[str, dict[str, int]] = {}
        for kind, slopes in self.slopes.items():
            gone = self.counts[kind] - counts[kind]
            for name, sizes in slopes.items() if gone else ():
                fall = falls.setdefault(name, dict.fromkeys(SIZES, 0))
                falls[name] = {size: fall[size] + gone * sizes[size] for size in SIZES}
        found = {name: _less(self.traced[name], fall) for name, fall in falls.items()}
        return self.traced.with_layers(found)


def _differences(whole: Network, less: Network) -> dict[str, dict[str, int]]:
    found = {
        layer.name: {size: getattr(layer, size) - getattr(less[layer.name], size) for size in SIZES}
        for layer in whole
    }
    return {name: sizes for name, sizes in found.items() if any(sizes.values())}


def _less(layer: Layer, fall: Mapping[str, int]) -> Layer:
    return replace(layer, **{size: getattr(layer, size) - fall[size] for size in SIZES})
