"""The Eyeriss chip's published layers under its own mappings, for tests of any module."""

from dataclasses import replace

from hwsim.dataflows.row_stationary import mapping
from hwsim.hardware import load_machine
from hwsim.mapping import Mapping
from hwsim.validation._eyeriss_chip import NETWORKS, chip_layers
from hwsim.workload import Layer, Tensor

EYERISS = load_machine("eyeriss_v1")
CHIP = {chip.name: chip for network in NETWORKS for chip in chip_layers(network)}
ALEXNET = [name for name, chip in CHIP.items() if chip.network == "alexnet"]


def chip_task(name: str, batch: int | None = None) -> tuple[Layer, Mapping]:
    """A layer without zeros, at the published batch or another, and the chip's mapping of it."""
    chip = CHIP[name]
    layer = replace(chip.layer, N=batch or chip.layer.N, ifmap=Tensor(), ofmap=Tensor())
    return layer, mapping(layer, EYERISS, chip.choice)
