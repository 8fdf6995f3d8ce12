"""A study: the layers of one kind of AlexNet at one batch, on one dataflow and number of PEs."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from hwsim.validate import published
from hwsim.validation._isca2016_exact import exact_accesses
from hwsim.validation._isca2016_nlr import NO_LOCAL_REUSE
from hwsim.validation._isca2016_os import OSA, OSB, OSC
from hwsim.validation._isca2016_reuse import RECOMPUTED_HOPS, PerLevel
from hwsim.validation._isca2016_rs import ROW_STATIONARY
from hwsim.validation._isca2016_search import Chip, Choice, choice, least
from hwsim.validation._isca2016_storage import (
    PE_LOGIC_UM2,
    UM2_PER_BYTE,
    WORD_BYTES,
    buffer_bytes,
    machine_um2,
)
from hwsim.validation._isca2016_ws import WEIGHT_STATIONARY
from hwsim.workload import Layer

DATAFLOWS = {
    "RS": ROW_STATIONARY,
    "WS": WEIGHT_STATIONARY,
    "OSA": OSA,
    "OSB": OSB,
    "OSC": OSC,
    "NLR": NO_LOCAL_REUSE,
}
KINDS, PES, BATCHES = ("CONV", "FC"), (256, 512, 1024), (1, 16, 64)
# The register files that the sweep over PEs at a fixed area may choose among.
SWEPT_RF_BYTES = (64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Study:
    """Layers and a choice of parameters for each; all quantities are per MAC of all layers."""

    layers: tuple[Layer, ...]
    choices: tuple[Choice, ...]

    @property
    def energy(self) -> float:
        """Energy per MAC."""
        return self._mean(found.energy for found in self.choices)

    @property
    def dram_accesses(self) -> float:
        """DRAM reads and writes per MAC."""
        return self._mean(float(found.accesses.dram) for found in self.choices)

    @property
    def parts(self) -> PerLevel:
        """Energy per MAC at each level."""
        by_level = zip(*(found.parts for found in self.choices), strict=True)
        return PerLevel(*(self._mean(float(part) for part in level) for level in by_level))

    def _mean(self, each: Iterable[float]) -> float:
        macs = [layer.macs for layer in self.layers]
        return sum(n * x for n, x in zip(macs, each, strict=True)) / sum(macs)


@cache
def facts() -> dict[str, Any]:
    """The numbers of isca2016.yaml."""
    return published("isca2016")


def alexnet(kind: str, batch: int) -> tuple[Layer, ...]:
    """AlexNet's CONV or FC layers, in the groups of the original."""
    named = facts()["layers"].items()
    return tuple(Layer(name=name, N=batch, **s) for name, s in named if name.startswith(kind))


@cache
def study(
    dataflow: str, kind: str, *, pes: int, batch: int, hops: int = RECOMPUTED_HOPS
) -> Study | None:
    """The study of least energy in every layer; None where a layer fits in no way."""
    return _searched(dataflow, kind, batch, DATAFLOWS[dataflow].chip(pes), hops)


def at_recomputed(record: dict[str, Any]) -> Study:
    """The study at the parameters that a record of isca2016.yaml holds."""
    layers = alexnet(record["layers"], record["batch"])
    chosen = [
        {name: values[place] for name, values in record["chosen"].items()}
        for place in range(len(layers))
    ]
    flow = DATAFLOWS[record["dataflow"]]
    pairs = zip(layers, chosen, strict=True)
    return Study(layers, tuple(choice(flow, layer, params) for layer, params in pairs))


def advantages(kind: str, *, pes: int, batch: int, hops: int = RECOMPUTED_HOPS) -> list[float]:
    """Energy of every other feasible dataflow over that of row stationary."""
    found = (study(name, kind, pes=pes, batch=batch, hops=hops) for name in DATAFLOWS)
    energies = [each.energy for each in found if each]
    return [other / energies[0] for other in energies[1:]]


def conv_share_of_energy(dataflow: str, *, pes: int, batch: int) -> float:
    """The CONV layers' share of AlexNet's energy, for a dataflow that can run all of it."""
    found = [study(dataflow, kind, pes=pes, batch=batch) for kind in KINDS]
    energies = [e.energy * sum(layer.macs for layer in e.layers) for e in found if e]
    return energies[0] / sum(energies)


def exact_counts(dataflow: str, layer: Layer, params: dict[str, int], *, pes: int) -> PerLevel:
    """Exact accesses per MAC of the dataflow's mapping with given parameters."""
    flow = DATAFLOWS[dataflow]
    arrays = {name: np.array(value) for name, value in params.items()}
    return exact_accesses(dataflow, layer, params, flow.chip(pes), flow.reuses(layer, arrays))


def energy_at_fixed_area(pes: int, *, batch: int, budget_pes: int = 256) -> float:
    """Energy per CONV MAC of row stationary where more PEs leave less area for storage.

    The area, logic and storage, is that of the study at `budget_pes`; the best register file of
    SWEPT_RF_BYTES is taken.
    """
    storage = machine_um2(budget_pes) - pes * PE_LOGIC_UM2
    found = []
    for rf_bytes in SWEPT_RF_BYTES:
        size = buffer_bytes(pes, rf_bytes=rf_bytes, storage=storage)
        if size >= max(UM2_PER_BYTE):
            chip = Chip(pes, int(size / WORD_BYTES), rf_bytes // WORD_BYTES)
            found.append(_searched("RS", "CONV", batch, chip, RECOMPUTED_HOPS))
    return min(each.energy for each in found if each)


def _searched(dataflow: str, kind: str, batch: int, chip: Chip, hops: int) -> Study | None:
    layers = alexnet(kind, batch)
    found = [least(DATAFLOWS[dataflow], layer, chip, hops=hops) for layer in layers]
    choices = tuple(each for each in found if each)
    return Study(layers, choices) if len(choices) == len(layers) else None
