"""Why a layer got what it got: what each property of the compressed layer saves, and where.

A property is taken back alone, all others left, and the layer is priced again: what it then costs
more is what the property saves on this machine. So what pays is told by the machine's model: zeros
save nothing in the MACs of a machine that does not skip or gate them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil

from compressors._lower import psum_bits
from compressors.codesign._cost import Cost
from compressors.codesign._records import SIZES
from hwsim.codesign_report import Gain
from hwsim.errors import InputError
from hwsim.hardware import Accelerator
from hwsim.table import digits
from hwsim.workload import Decoder, Layer, Primitive

Reverted = Callable[[Layer, Layer], Layer]  # the layer as it is, and as it was
CHANNELS, WEIGHT_BITS, IFMAP_BITS, OFMAP_BITS = (
    "channels",
    "weight bits",
    "ifmap bits",
    "ofmap bits",
)
ARITHMETIC, WEIGHT_ZEROS, IFMAP_ZEROS, CODE = "arithmetic", "weight zeros", "ifmap zeros", "code"
SPARSE = {Decoder.BITMAP, Decoder.RELATIVE_INDEX, Decoder.CSR, Decoder.HUFFMAN}
# What a property that saves energy in a component is called.
FEATURES: Mapping[tuple[str, str], str] = {
    (CHANNELS, "MAC"): "fewer MACs",
    (WEIGHT_BITS, "MAC"): "MACs of narrower weights",
    (IFMAP_BITS, "MAC"): "MACs of narrower ifmap words",
    (WEIGHT_BITS, "DRAM"): "fewer weight bits from DRAM",
    (IFMAP_BITS, "DRAM"): "fewer ifmap bits from DRAM",
    (OFMAP_BITS, "DRAM"): "fewer ofmap bits to DRAM",
    (CODE, "DRAM"): "coded weights in DRAM",
    (WEIGHT_ZEROS, "DRAM"): "zero weights left out in DRAM",
    (IFMAP_ZEROS, "DRAM"): "zeros of the ifmap left out in DRAM",
}


def gains(
    layer: Layer, before: Layer, price: Callable[[Layer], Cost], bits: int
) -> tuple[Gain, ...]:
    """What each property that differs from the layer `before` saves, the largest energy first."""
    own, found = price(layer), []
    for prop, revert in PROPERTIES.items():
        other = revert(layer, before)
        if other == layer:
            continue
        try:
            found.append(_gain(prop, price(_with_psum(other, bits)), own))
        except InputError:
            found.append(Gain(prop=prop, energy_pj=None, latency_ms=None, components_pj={}))
    return tuple(sorted(found, key=lambda gain: -(gain.energy_pj or 0.0)))


def paid(
    found: tuple[Gain, ...], machine: Accelerator | None, layer: Layer, *, by_time: bool
) -> str:
    """The feature that saved most energy, or time, and how much."""
    if by_time:
        best = max(found, key=lambda gain: gain.latency_ms or 0.0, default=None)
        if best and best.latency_ms and best.latency_ms > 0:
            return f"{best.prop}: {digits(best.latency_ms)} ms"
        return "nothing"
    parts = [
        (pj, gain.prop, component)
        for gain in found
        for component, pj in (gain.components_pj or {"energy": gain.energy_pj or 0.0}).items()
    ]
    pj, prop, component = max(parts, default=(0.0, "", ""))
    if pj <= 0:
        needed = [gain.prop for gain in found if gain.energy_pj is None]
        return f"runs at all by its {needed[0]}" if needed else "nothing"
    return f"{feature(prop, component, machine, layer)}: {digits(pj / 1e6)} µJ"


def feature(prop: str, component: str, machine: Accelerator | None, layer: Layer) -> str:
    """What of the machine turns a property into less energy in a component."""
    if prop == ARITHMETIC:
        return {
            Primitive.SHIFT_ADD: "shifts in place of products",
            Primitive.ADD: "additions in place of products",
            Primitive.XNOR_POPCOUNT: "XNOR in place of products",
            Primitive.LOOKUP_ADD: "look-ups in place of products",
        }.get(layer.primitive, f"{component} by its arithmetic")
    if prop in (WEIGHT_ZEROS, IFMAP_ZEROS) and component in ("MAC", "spad") and machine:
        skips = prop.split()[0] in machine.mac.zero_skipping
        return f"zero {'skipping' if skips else 'gating'} of the {prop.split()[0]}, {component}"
    return FEATURES.get((prop, component), f"{component} by {prop}")


def _gain(prop: str, other: Cost, own: Cost) -> Gain:
    names = own.components_pj.keys() | other.components_pj.keys()
    parts = {n: other.components_pj.get(n, 0.0) - own.components_pj.get(n, 0.0) for n in names}
    return Gain(
        prop=prop,
        energy_pj=other.energy_pj - own.energy_pj,
        latency_ms=other.latency_ms - own.latency_ms,
        components_pj={name: parts[name] for name in sorted(parts) if parts[name]},
    )


def _with_psum(layer: Layer, bits: int) -> Layer:
    """The layer with psums that hold its sums."""
    if not layer.weighted:
        return layer
    width = psum_bits(layer, ifmap=layer.ifmap.bits, weight=layer.weight.bits, bits=bits)
    return replace(layer, psum=replace(layer.psum, bits=max(width, layer.psum.bits)))


def _channels(layer: Layer, before: Layer) -> Layer:
    """All channels, with as many zeros and stored bits among them as in those that are left."""
    if all(getattr(layer, name) == getattr(before, name) for name in SIZES):
        return layer
    share = before.words("weight") / (layer.words("weight") or 1)
    stored = tuple(replace(one, bits=ceil(one.bits * share)) for one in layer.weight.stored)
    whole = {name: getattr(before, name) for name in SIZES}
    bare = replace(layer, weight=replace(layer.weight, zeros=None, stored=()))
    return replace(bare, **whole, weight=replace(bare.weight, stored=stored))


def _weight_bits(layer: Layer, before: Layer) -> Layer:
    if layer.primitive is not before.primitive:  # the width is part of that arithmetic
        return layer
    return replace(layer, weight=replace(layer.weight, bits=before.weight.bits))


def _arithmetic(layer: Layer, before: Layer) -> Layer:
    if layer.primitive is before.primitive:
        return layer
    weight = replace(layer.weight, bits=before.weight.bits)
    return replace(layer, weight=weight, primitive=before.primitive, terms=before.terms)


def _weight_zeros(layer: Layer, before: Layer) -> Layer:
    """No zeros, and of the codes those alone whose size does not depend on them."""
    if layer.weight.density >= before.weight.density:
        return layer
    plain = tuple(one for one in layer.weight.stored if not SPARSE & set(one.decoders))
    weight = replace(layer.weight, zeros=None, density=before.weight.density, stored=plain)
    return replace(layer, weight=weight)


PROPERTIES: Mapping[str, Reverted] = {
    CHANNELS: _channels,
    WEIGHT_BITS: _weight_bits,
    IFMAP_BITS: lambda layer, before: replace(
        layer, ifmap=replace(layer.ifmap, bits=before.ifmap.bits)
    ),
    OFMAP_BITS: lambda layer, before: replace(
        layer, ofmap=replace(layer.ofmap, bits=before.ofmap.bits)
    ),
    ARITHMETIC: _arithmetic,
    WEIGHT_ZEROS: _weight_zeros,
    IFMAP_ZEROS: lambda layer, before: replace(
        layer, ifmap=replace(layer.ifmap, density=before.ifmap.density)
    ),
    CODE: lambda layer, before: replace(layer, weight=replace(layer.weight, stored=())),
}
