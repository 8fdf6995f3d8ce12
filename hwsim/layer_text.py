"""A layer in words: `N=1 K=64 C=64 P=56 Q=28 R=3 S=3 stride_h=2 pad=1 weight_bits=8`.

    N G K C P Q R S         loop bounds, 1 unless given; K and C are channels of a group
    stride dilation pad     of rows and columns alike, or stride_h (rows) and stride_w (columns);
                            1, 1 and 0 unless given
    H W                     the ifmap's rows and columns without padding; unless given, what the
                            windows reach: H = (P - 1) stride_h + (R - 1) dilation_h + 1 - 2 pad_h
    bits density            of ifmap, weight and ofmap alike, or ifmap_bits, weight_density, ...;
                            density, the share of elements that are not zero, is 1 unless given
    psum_bits operands op primitive terms name  as in `hwsim.workload.Layer`
    weight_stored           codes that weights may be stored in, each as its bits in all and what
                            decodes it: 4096:codebook, or 4096:codebook,3072:codebook+huffman

Where a key and its part are both given the part wins.
"""

import shlex
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as MappingType
from difflib import get_close_matches
from typing import Any

from hwsim.errors import ConfigError, InputError
from hwsim.workload import DIMS, TENSORS, Decoder, Layer, Op, Primitive, Stored, Tensor

Words = dict[str, str]

SOURCE, NAME = "--layer", "layer"
PARTS: dict[str, tuple[str, ...]]
PARTS = {key: (f"{key}_h", f"{key}_w") for key in ("stride", "dilation", "pad")}
PARTS |= {key: tuple(f"{tensor}_{key}" for tensor in TENSORS) for key in ("bits", "density")}
ENUMS = {"op": Op, "primitive": Primitive}
SIZES = (*DIMS, *PARTS["stride"], *PARTS["dilation"], *PARTS["pad"], "H", "W", "operands", "terms")
STORED = "weight_stored"
BITS, DENSITIES = (*PARTS["bits"], "psum_bits"), PARTS["density"]
KEYS = (*SIZES, *PARTS, *BITS, *DENSITIES, *ENUMS, STORED, "name")


def words(text: str) -> Words:
    """The values in a text by key. Raises InputError naming key and value."""
    found: Words = {}
    for word in _split(text):
        key, _, value = word.partition("=")
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {' '.join(KEYS)}"
            raise ConfigError(file=SOURCE, key=key, value=value, reason=f"unknown key; {hint}")
        if key in found:
            raise ConfigError(file=SOURCE, key=key, value=value, reason="given twice")
        found[key] = value
    return found


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InputError(f"{SOURCE}: {text!r}: {error}") from error


def option(key: str, value: str) -> str:
    """A command line's option in words: 2 of both sides, 2,1 of rows and columns, weight=4."""
    part, _, own = value.rpartition("=")
    if part:
        return f"{part}_{key}={own}"
    if value.count(",") == 1:
        rows, columns = value.split(",")
        return f"{key}_h={rows} {key}_w={columns}"
    return f"{key}={value}"


def read(given: Words, *, bits: MappingType[str, int] | None = None) -> Layer:
    """The layer that `words` found, `bits` wide (by tensor, psum too) where they do not say.

    Raises InputError naming key and value.
    """
    parts = {part: value for key, value in given.items() for part in PARTS.get(key, ())}
    parts |= {key: value for key, value in given.items() if key not in PARTS}
    values = {key: _value(key, value) for key, value in parts.items()}
    tensors = {
        tensor: Tensor(
            bits=values.pop(f"{tensor}_bits", (bits or {}).get(tensor, Tensor().bits)),
            density=values.pop(f"{tensor}_density", 1.0),
            stored=values.pop(f"{tensor}_stored", ()),
        )
        for tensor in (*TENSORS, "psum")
    }
    return Layer(**{"name": NAME} | values | tensors)


def _value(key: str, value: str) -> Any:
    """A word's value as the layer takes it."""

    def wrong(reason: str) -> ConfigError:
        return ConfigError(file=SOURCE, key=key, value=value, reason=reason)

    if key == "name":
        return value
    if key in ENUMS:
        known = [str(each) for each in ENUMS[key]]
        if value not in known:
            raise wrong(f"must be one of {', '.join(known)}")
        return ENUMS[key](value)
    if key == STORED:
        return tuple(_stored(code, wrong) for code in value.split(","))
    kind, what = (float, "a number") if key in DENSITIES else (int, "a whole number")
    number = _number(kind, value)
    if number is None:
        raise wrong(f"must be {what}")
    if key in DENSITIES and not 0 <= number <= 1:
        raise wrong("must lie in 0..1")
    if key in BITS and not 1 <= number <= 64:
        raise wrong("must lie in 1..64")
    return number


def _stored(code: str, wrong: Callable[[str], ConfigError]) -> Stored:
    """One code as it is written: its bits, and its decoders by name."""
    bits, _, decoders = code.partition(":")
    number, given = _number(int, bits), decoders.split("+")
    if number is None:
        raise wrong("must be a whole number of bits, a colon and decoders")
    if not set(given) <= set(Decoder):
        raise wrong(f"decoders must be some of {', '.join(Decoder)}, with + between")
    return Stored(int(number), tuple(map(Decoder, given)))


def _number(kind: Callable[[str], float], value: str) -> float | None:
    try:
        return kind(value)
    except ValueError:
        return None


def text(layer: Layer) -> str:
    """The words that `read` makes the layer of, but for where exactly its tensors are zero."""
    return " ".join(_written(layer))


def _written(layer: Layer) -> Iterator[str]:
    """The ifmap's size, the bits, and whatever else differs from the defaults."""
    tensors = [layer.tensor(tensor) for tensor in TENSORS]
    yield from _part("name", [shlex.quote(layer.name)], NAME)
    yield from _part("op", [layer.op], Op.CONV)
    yield from _part("primitive", [layer.primitive], Primitive.MULTIPLY_ADD)
    for dim, size in layer.bounds.items():
        yield from _part(dim, [size], 0 if dim == "N" else 1)
    yield from (f"H={layer.H}", f"W={layer.W}")
    yield from _part("stride", [layer.stride_h, layer.stride_w], 1)
    yield from _part("dilation", [layer.dilation_h, layer.dilation_w], 1)
    yield from _part("pad", [layer.pad_h, layer.pad_w], 0)
    yield from _part("operands", [layer.operands], 1)
    yield from _part("terms", [layer.terms], 1)
    yield from _part("bits", [tensor.bits for tensor in tensors], None)
    yield f"psum_bits={layer.psum.bits}"
    yield from _part("density", [tensor.density for tensor in tensors], 1.0)
    codes = (f"{code.bits}:{'+'.join(code.decoders)}" for code in layer.weight.stored)
    yield from _part(STORED, [",".join(codes)], "")


def _part(key: str, values: Sequence[object], default: object) -> Iterator[str]:
    """One word where all values are alike, else a word each; none for the default."""
    if all(value == values[0] for value in values):
        yield from [f"{key}={values[0]}"] if values[0] != default else []
    else:
        yield from (f"{part}={value}" for part, value in zip(PARTS[key], values, strict=True))
