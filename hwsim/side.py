"""A network on one machine as plain numbers: a row for each layer, and totals over them.

Totals are sums over the rows, floats by `math.fsum`, so their order does not matter.
"""

from collections.abc import Sequence
from math import fsum
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from hwsim.config import Config
from hwsim.cost import COMPONENTS
from hwsim.hardware import Accelerator, Memory
from hwsim.skipping import mac_cycles
from hwsim.workload import Layer

if TYPE_CHECKING:
    from hwsim.residence import Residence
    from hwsim.simulate import LayerResult, NetworkResult

Count = Annotated[int, Field(ge=0)]
Real = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
ComponentEnergy = dict[str, Real]
MappingRecord = dict[str, int | str | list[str]]


class LayerRow(Config):
    """One layer on one side.

    `operations` are points of the loop nest, `macs` those of weighted layers. `bounds` holds the
    loop bounds of the dimensions larger than 1, `strides` those of rows and of columns, which older
    records lack. `ifmap_bits`, `weight_bits`, `ofmap_bits` and `psum_bits` are bits an element;
    `dram_bits` is the layer's whole traffic. A layer with `fused_into` rides on that layer's output
    at no cycles, traffic or mapping, only arithmetic.
    """

    name: str
    op: str
    bounds: dict[str, Count]
    strides: tuple[Count, Count] | None = None
    macs: Count
    operations: Count
    cycles: Count
    compute_cycles: Count
    bound: str
    utilization: Real
    energy_pj: Real
    energy_by_component_pj: ComponentEnergy
    dram_bits: Count
    dram_read_bits: Count
    dram_write_bits: Count
    ifmap_bits: Count
    weight_bits: Count
    ofmap_bits: Count
    psum_bits: Count
    ifmap_density: Fraction
    weight_density: Fraction
    fused_into: str | None
    mapping: tuple[MappingRecord, ...]


class Kept(Config):
    """Ofmaps that stay on chip, by the layers that make them, and the totals if none did."""

    ofmaps: tuple[str, ...]
    apart_energy_pj: Real
    apart_latency_ms: Real
    apart_dram_bits: Count


class Side(Config):
    """A network on a machine: totals over its `layers`, and the roofs of the machine.

    `ifmap_bits` and `weight_bits` list the bits an element that occur among weighted layers;
    `top1` is a share in 0..1, None where no images were classified; `utilization` is the layers'
    weighted by cycles; `dram_bits_per_cycle` is None where nothing bounds the DRAM. `kept` is None
    where ofmaps were not to stay on chip.
    """

    label: str
    network: str
    machine: str
    clock_mhz: Real
    batch: Count
    ifmap_bits: tuple[Count, ...]
    weight_bits: tuple[Count, ...]
    top1: Fraction | None
    macs: Count
    cycles: Count
    latency_ms: Real
    utilization: Real
    energy_pj: Real
    energy_by_component_pj: ComponentEnergy
    dram_bits: Count
    peak_macs_per_cycle: Count
    dram_bits_per_cycle: Real | None
    kept: Kept | None = None
    layers: tuple[LayerRow, ...]


def kept_of(found: "Residence") -> Kept:
    """What stays on chip, and the network without."""
    apart = found.totals_apart
    return Kept(
        ofmaps=tuple(resident.producer for resident in found.kept),
        apart_energy_pj=apart.energy_pj,
        apart_latency_ms=apart.cycles / (found.apart.machine.clock_mhz * 1e3),
        apart_dram_bits=apart.dram_bits,
    )


def side_of(
    result: "NetworkResult", *, label: str, top1: float | None = None, kept: Kept | None = None
) -> Side:
    """A simulated network as plain numbers under a label such as `16-bit`."""
    rows = tuple(_row(layer) for layer in result.layers)
    cycles = sum(row.cycles for row in rows)
    weighted = [found.layer for found in result.layers if found.layer.weighted]
    return Side(
        label=label,
        network=result.network.name,
        machine=result.machine.name,
        clock_mhz=result.machine.clock_mhz,
        batch=result.network.layers[0].N,
        ifmap_bits=tuple(sorted({layer.ifmap.bits for layer in weighted})),
        weight_bits=tuple(sorted({layer.weight.bits for layer in weighted})),
        top1=top1,
        macs=sum(row.macs for row in rows),
        cycles=cycles,
        latency_ms=cycles / (result.machine.clock_mhz * 1e3),
        utilization=fsum(row.utilization * row.cycles for row in rows) / max(cycles, 1),
        energy_pj=fsum(row.energy_pj for row in rows),
        energy_by_component_pj={
            name: fsum(row.energy_by_component_pj[name] for row in rows) for name in COMPONENTS
        },
        dram_bits=sum(row.dram_bits for row in rows),
        peak_macs_per_cycle=_peak_macs_per_cycle(result.machine, weighted),
        dram_bits_per_cycle=_dram_bits_per_cycle(result.machine),
        kept=kept,
        layers=rows,
    )


def _peak_macs_per_cycle(machine: Accelerator, weighted: Sequence[Layer]) -> int:
    """What all PEs do in a cycle, at the precision of the layer that runs fastest."""
    least = min((float(mac_cycles(layer, machine.mac)) for layer in weighted), default=1.0)
    return round(machine.pes / least)


def _row(found: "LayerResult") -> LayerRow:
    layer, cost = found.layer, found.cost
    return LayerRow(
        name=layer.name,
        op=str(layer.op),
        bounds={dim: size for dim, size in layer.bounds.items() if size > 1},
        strides=(layer.stride_h, layer.stride_w),
        macs=layer.macs,
        operations=layer.operations,
        cycles=cost.cycles,
        compute_cycles=cost.compute_cycles,
        bound=cost.bound,
        utilization=cost.utilization,
        energy_pj=cost.energy_pj,
        energy_by_component_pj={name: cost.energy_by_component_pj[name] for name in COMPONENTS},
        dram_bits=cost.dram_bits,
        dram_read_bits=cost.dram_read_bits,
        dram_write_bits=cost.dram_write_bits,
        ifmap_bits=layer.ifmap.bits,
        weight_bits=layer.weight.bits,
        ofmap_bits=layer.ofmap.bits,
        psum_bits=layer.psum.bits,
        ifmap_density=layer.ifmap.density,
        weight_density=layer.weight.density,
        fused_into=found.fused_into,
        mapping=tuple(found.mapping.to_yaml()) if found.mapping else (),
    )


def _dram_bits_per_cycle(machine: Accelerator) -> float | None:
    """The most that all DRAM ports together can move; None where one is unbounded."""
    ports = [_port_bits_per_cycle(memory) for memory in machine.levels[0].memories]
    bounded = [bits for bits in ports if bits is not None]
    return fsum(bounded) if len(bounded) == len(ports) else None


def _port_bits_per_cycle(memory: Memory) -> float | None:
    read, write = memory.read_bits_per_cycle, memory.write_bits_per_cycle
    if read is None or write is None:
        return None
    return max(read, write) if memory.shared_port else read + write


def flat(row: LayerRow) -> dict[str, object]:
    """A layer without its mapping, as a row of a spreadsheet."""
    record = row.model_dump(exclude={"mapping", "bounds", "strides", "energy_by_component_pj"})
    energies = row.energy_by_component_pj
    rows, columns = row.strides or (None, None)
    strides = {"stride_h": rows, "stride_w": columns}
    return record | {f"energy_{name}_pj": energies[name] for name in COMPONENTS} | strides
