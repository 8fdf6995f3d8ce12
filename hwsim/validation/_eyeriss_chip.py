"""The published layers of the Eyeriss chip, simulated under the chip's own mappings."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from hwsim.cost import Cost, cost
from hwsim.dataflows.row_stationary import Pass, Sets, mapping
from hwsim.hardware import Accelerator
from hwsim.mapping import Mapping
from hwsim.reuse import access_counts
from hwsim.validate import published
from hwsim.validation._eyeriss_rule import COLUMNS, chip_mapping
from hwsim.workload import Layer, Tensor

NETWORKS = ("alexnet", "vgg16")
WORD_BYTES = 2


@dataclass(frozen=True)
class ChipLayer:
    """A layer of a published table, its table row, and what its network's table has in common."""

    name: str
    network: str
    row: dict[str, Any]
    table: dict[str, Any]

    @cached_property
    def layer(self) -> Layer:
        """The layer with 16-bit words and the published shares of zeros."""
        square = {dim: self.row[key] for dim, key in zip("PQRS", "PPRR", strict=True)}
        zeros = {key: self.row[f"{key}_zeros_percent"] / 100 for key in ("ifmap", "ofmap")}
        return Layer(
            name=self.name,
            N=self.table["batch"],
            **{dim: self.row[dim] for dim in "GKC"},
            **square,
            **dict.fromkeys(("stride_h", "stride_w"), self.row["U"]),
            **dict.fromkeys(("pad_h", "pad_w"), self.row["pad"]),
            ifmap=Tensor(density=1 - zeros["ifmap"]),
            ofmap=Tensor(density=1 - zeros["ofmap"]),
            psum=Tensor(bits=16),
        )

    @cached_property
    def choice(self) -> Pass:
        """The published parameters, or else the rule's."""
        if "m" in self.row:
            return _published(self.row)
        images = self.layer.C == 3
        return chip_mapping(
            self.layer,
            zeros=0.0 if images else self.table["mean_zeros_percent"] / 100,
            filters_among_maps=self.table["filters_in_glb_count"],
        )

    def mapping(self, machine: Accelerator) -> Mapping:
        """The loop nest of `choice`."""
        return mapping(self.layer, machine, self.choice)

    def cost(self, machine: Accelerator) -> Cost:
        """What the layer costs under `choice`."""
        return cost(self.layer, self.mapping(machine), machine)

    def glb_bytes(self, machine: Accelerator) -> int:
        """Bytes that pass between GLB and PEs, and psums' final read; as published, without the
        filling of the buffer from DRAM."""
        links = access_counts(
            self.layer, self.mapping(machine), shared=machine.shared, padding=machine.stores_padding
        )
        counted = [
            link for link in links if link.tensor != "weight" or self.table["filters_in_glb_count"]
        ]
        words = sum(link.reads + link.writes for link in counted if link.parent == "GLB")
        words += sum(link.collected for link in counted if link.child == "GLB")
        return WORD_BYTES * words

    @property
    def published_glb_bytes(self) -> float:
        """The table's GLB megabytes."""
        return float(self.row["glb_mb"] * self.table["glb_bytes_per_mb"])

    @property
    def published_dram_bytes(self) -> float:
        """The table's DRAM megabytes."""
        return float(self.row["dram_mb"] * self.table["dram_bytes_per_mb"])


@cache
def tables() -> dict[str, Any]:
    """The published numbers, read once."""
    return published("eyeriss_v1")


def chip_layers(network: str) -> Iterator[ChipLayer]:
    """The rows of a network's table, in order."""
    table = tables()[network]
    for values in table["rows"]:
        row = dict(zip(table["columns"], values, strict=True))
        yield ChipLayer(row["layer"], network, row, table)


def power_mw(found: Cost, machine: Accelerator) -> float:
    """The chip's power over the layer's whole latency; DRAM is not part of the chip."""
    chip_pj = found.energy_pj - found.energy_by_component_pj["DRAM"]
    return chip_pj / latency_ms(found.cycles, machine) / 1e6


def latency_ms(cycles: int, machine: Accelerator) -> float:
    """Milliseconds of so many cycles."""
    return cycles / machine.clock_mhz / 1e3


def _published(row: dict[str, Any]) -> Pass:
    """Table III's parameters: sets side by side as far as the columns allow, the rest below."""
    across = COLUMNS // min(row["e"], COLUMNS)
    across_r = min(row["r"], across)
    across_t = min(row["t"], across // across_r)
    return Pass(
        **{key: row[key] for key in "mnepq"},
        across=Sets(across_r, across_t, 1),
        down=Sets(row["r"] // across_r, row["t"] // across_t, 1),
    )
