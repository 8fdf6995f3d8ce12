"""Made-up results on made-up machines, for tests of reports and plots: plausible, quick, exact."""

from dataclasses import replace

from hwsim.cost import Cost, fused_cost
from hwsim.hardware import Accelerator, Array, Memory, MemoryLevel
from hwsim.mapping import Loop, Mapping, Store
from hwsim.report import Report, compare
from hwsim.side import Side, side_of
from hwsim.simulate import LayerResult, NetworkResult
from hwsim.workload import TENSORS, Layer, Network, Op


def machine(
    *, bits: int = 16, dram_bits_per_cycle: float | None = 64, shared_port: bool = True
) -> Accelerator:
    """168 PEs at 200 MHz below a DRAM of the given bandwidth."""
    dram = Memory(
        tensors=("ifmap", "weight", "ofmap"),
        cell="dram",
        read_bits_per_cycle=dram_bits_per_cycle,
        write_bits_per_cycle=dram_bits_per_cycle,
        shared_port=shared_port,
    )
    return Accelerator(
        name=f"example_{bits}",
        description="made up",
        source="none",
        dataflow="weight_stationary",
        clock_mhz=200,
        hierarchy=(
            MemoryLevel(level="DRAM", component="DRAM", memories=(dram,)),
            Array(axes={"X": 14, "Y": 12}),
        ),
    )


def layers(blocks: int) -> tuple[Layer, ...]:
    """A stem, depthwise and pointwise pairs with activations, a pooling and a classifier."""
    found = [Layer(name="stem.conv", K=16, C=3, P=32, Q=24, R=3, S=3, pad_h=1, pad_w=1)]
    channels, rows, columns = 16, 32, 24
    for index in range(blocks):
        block, wider = f"blocks.{index}", 2 * channels if index % 4 == 0 else channels
        depthwise = Layer(name=f"{block}.depthwise.conv", G=channels, P=rows, Q=columns, R=3, S=3)
        pointwise = Layer(name=f"{block}.pointwise.conv", K=wider, C=channels, P=rows, Q=columns)
        act = Layer(name=f"{block}.act", op=Op.ACTIVATION, G=wider, P=rows, Q=columns)
        found += [replace(depthwise, H=0, W=0, pad_h=1, pad_w=1), pointwise, act]
        channels, rows, columns = min(wider, 512), max(rows // (1 + index % 2), 4), columns
    pool = Layer(name="pool", op=Op.POOL, G=channels, R=rows, S=columns)
    return (*found, pool, Layer(name="classifier", op=Op.LINEAR, K=10, C=channels))


def _cost(layer: Layer) -> Cost:
    bits = {name: layer.words(name) * layer.tensor(name).bits for name in layer.tensors}
    utilization = 0.9 if layer.G == 1 else 0.35
    compute = -(-layer.operations // round(168 * utilization))
    transfer = sum(bits.values()) // 64
    scale = layer.operations * layer.ifmap.bits / 16
    energies = {
        "MAC": 1.3 * scale,
        "spad": 2.9 * scale,
        "NoC": 0.7 * scale,
        "GLB": 0.15 * sum(bits.values()),
        "DRAM": 6.1 * sum(bits.values()),
        "clock": 0.0,
        "leakage": 0.0,
    }
    cycles = max(compute, transfer)
    return Cost(
        cycles=cycles,
        processing_cycles=cycles,
        compute_cycles=compute,
        bound="compute" if compute >= transfer else "DRAM",
        utilization=layer.operations / (168 * cycles),
        energy_by_component_pj=energies,
        dram_read_bits=sum(bits.values()) - bits["ofmap"],
        dram_write_bits=bits["ofmap"],
    )


def result(network: Network, accelerator: Accelerator) -> NetworkResult:
    """Every layer at its made-up cost; an activation rides on the layer before it."""
    found: list[LayerResult] = []
    for layer in network:
        fused = layer.op is Op.ACTIVATION
        found.append(
            LayerResult(
                layer=layer,
                mapping=None if fused else Mapping((Store("DRAM", TENSORS), Loop("K", 1))),
                cost=fused_cost(layer, accelerator) if fused else _cost(layer),
                fused_into=found[-1].layer.name if fused else None,
            )
        )
    return NetworkResult(network=network, machine=accelerator, layers=tuple(found))


def example_side(found: tuple[Layer, ...], *, bits: int, top1: float | None) -> Side:
    """A side at one bit-width throughout."""
    at_bits = tuple(layer.at_bits(ifmap=bits, weight=bits, ofmap=bits, psum=32) for layer in found)
    network = Network("example", at_bits)
    label = "16-bit" if bits == 16 else f"int{bits}"
    return side_of(result(network, machine(bits=bits)), label=label, top1=top1)


def example(found: tuple[Layer, ...]) -> Report:
    """A report on 16 bits against 8."""
    return compare(
        example_side(found, bits=16, top1=0.9261),
        example_side(found, bits=8, top1=0.9255),
        scenario="example_int8",
        description="Made up",
        seed=0,
        images=10_000,
    )


# Weighted and pooling layers: 1, 30 and 60, as the plots must hold them.
EXAMPLES: dict[str, tuple[Layer, ...]] = {
    "1 layer": (Layer(name="linear", op=Op.LINEAR, K=10, C=64),),
    "29 layers": layers(13),
    "59 layers": layers(28),
}
