"""What a run says: two sides, baseline and compressed, as one versioned record and its files.

`side` turns a simulated network into plain numbers, `compare` joins two sides, `write` puts
report.json, layers.csv and the plots into a folder, `read` brings report.json back.
Totals are sums over the layer rows, floats by `math.fsum`, so their order does not matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from hwsim import gallery
from hwsim.codesign_report import CodesignReport
from hwsim.config import Config
from hwsim.cost import COMPONENTS
from hwsim.hardware import Accelerator, Memory
from hwsim.results import csv_text, read_record, write_files
from hwsim.skipping import mac_cycles
from hwsim.workload import Layer

if TYPE_CHECKING:
    from hwsim.residence import Residence
    from hwsim.simulate import LayerResult, NetworkResult

NOTHING: Mapping[str, bytes] = {}
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


Pair = tuple[LayerRow | None, LayerRow | None]


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


class Ratios(Config):
    """Baseline divided by compressed: above 1 the compressed side is better; None: over zero."""

    energy: Real | None
    latency: Real | None
    cycles: Real | None
    dram: Real | None
    macs: Real | None


class Report(Config):
    """Everything that a run found; `images` counts those that top-1 was measured on.

    `search` says how the compressed side's plan was chosen, None where the scenario names it.
    """

    schema_version: Literal[1] = 1
    hwsim_version: str
    scenario: str
    description: str
    seed: int
    images: Count
    ratios: Ratios
    baseline: Side
    compressed: Side
    search: CodesignReport | None = None

    @property
    def sides(self) -> tuple[tuple[str, Side], ...]:
        """Both sides with the names of their keys."""
        return (("baseline", self.baseline), ("compressed", self.compressed))

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Each layer's (baseline, compressed) rows in execution order; None: not on that side."""
        before = {row.name: row for row in self.baseline.layers}
        after = {row.name: row for row in self.compressed.layers}
        order = list(before)
        for previous, name in pairwise(["", *after]):
            if name not in before:
                order.insert(order.index(previous) + 1 if previous else 0, name)
        return tuple((before.get(name), after.get(name)) for name in order)

    @property
    def folded_pairs(self) -> tuple[Pair, ...]:
        """`pairs` for people to read: layers fused on both sides add up to one last pair."""
        shown = [pair for pair in self.pairs if not _is_fused(pair)]
        hidden = [pair for pair in self.pairs if _is_fused(pair)]
        before, after = (_sum([pair[i] for pair in hidden]) for i in range(2))
        return (*shown, (before, after)) if hidden else tuple(shown)


def _is_fused(pair: Pair) -> bool:
    return all(row is None or row.fused_into for row in pair)


def _sum(rows: list[LayerRow | None]) -> LayerRow | None:
    """One row for fused layers, which have nothing to add up but arithmetic."""
    found = [row for row in rows if row]
    if not found:
        return None
    energies = {
        name: fsum(row.energy_by_component_pj[name] for row in found) for name in COMPONENTS
    }
    return found[0].model_copy(
        update={
            "name": f"{len(found)} fused layer{'s' if len(found) > 1 else ''}",
            "operations": sum(row.operations for row in found),
            "energy_pj": fsum(row.energy_pj for row in found),
            "energy_by_component_pj": energies,
        }
    )


def kept(found: "Residence") -> Kept:
    """What stays on chip, and the network without."""
    apart = found.totals_apart
    return Kept(
        ofmaps=tuple(resident.producer for resident in found.kept),
        apart_energy_pj=apart.energy_pj,
        apart_latency_ms=apart.cycles / (found.apart.machine.clock_mhz * 1e3),
        apart_dram_bits=apart.dram_bits,
    )


def side(
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


def compare(
    baseline: Side,
    compressed: Side,
    *,
    scenario: str,
    description: str,
    seed: int,
    images: int = 0,
    search: CodesignReport | None = None,
) -> Report:
    """The report on two sides, with their ratios, and on the search for the plan if there was."""
    return Report(
        hwsim_version=installed_version(),
        scenario=scenario,
        description=description,
        seed=seed,
        images=images,
        ratios=Ratios(
            energy=_ratio(baseline.energy_pj, compressed.energy_pj),
            latency=_ratio(baseline.latency_ms, compressed.latency_ms),
            cycles=_ratio(baseline.cycles, compressed.cycles),
            dram=_ratio(baseline.dram_bits, compressed.dram_bits),
            macs=_ratio(baseline.macs, compressed.macs),
        ),
        baseline=baseline,
        compressed=compressed,
        search=search,
    )


def installed_version() -> str:
    """The version of hwsim as it was installed."""
    try:
        return version("hwsim")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "not installed"


def _ratio(before: float, after: float) -> float | None:
    return before / after if after else None


def to_json(report: Report) -> str:
    """The text of report.json."""
    return report.model_dump_json(indent=1) + "\n"


def to_csv(report: Report) -> str:
    """The text of layers.csv: a row per side and layer; mappings are left to report.json."""
    return csv_text(
        [
            {"side": key, "label": side.label} | flat(row)
            for key, side in report.sides
            for row in side.layers
        ]
    )


def flat(row: LayerRow) -> dict[str, object]:
    """A layer without its mapping, as a row of a spreadsheet."""
    record = row.model_dump(exclude={"mapping", "bounds", "strides", "energy_by_component_pj"})
    energies = row.energy_by_component_pj
    rows, columns = row.strides or (None, None)
    strides = {"stride_h": rows, "stride_w": columns}
    return record | {f"energy_{name}_pj": energies[name] for name in COMPONENTS} | strides


def contents(report: Report, plots: Iterable[str]) -> dict[str, bytes]:
    """Every file of a results folder by name, the named plots included."""
    texts = {"report.json": to_json(report), "layers.csv": to_csv(report)}
    files = {name: text.encode() for name, text in texts.items()}
    return files | gallery.images(plots, "draw", report)


def write(
    report: Report, folder: Path, *, plots: Iterable[str], beside: Mapping[str, bytes] = NOTHING
) -> tuple[Path, ...]:
    """Writes report.json, layers.csv, the named plots and what else is given; returns their paths.

    Everything is drawn before the disk is touched and lies complete on the disk before the first
    file moves into place. Other files in the folder stay. Raises InputError naming the folder.
    """
    files = {**contents(report, plots), **beside}
    write_files(files, folder)
    return tuple(folder / name for name in files)


def read(path: Path) -> Report:
    """The report that `write` left at `path`. Raises InputError naming file, key and value."""
    return read_record(path, Report, what="a report")
