"""Where a network comes from: a shipped name, an ONNX file, or a program of torch.export."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.errors import InputError
from hwsim.networks import load_network

if TYPE_CHECKING:
    from hwsim.workload import Network

ONNX, PROGRAM = ".onnx", ".pt2"


def is_file(source: str) -> bool:
    """Whether a source is meant as the path of a file rather than a name."""
    return "/" in source or Path(source).suffix in (ONNX, PROGRAM)


def read_network(
    source: str, *, shapes: Mapping[str, Sequence[int]], batch: int | None, bits: int
) -> "Network":
    """The layers of a network, `bits` wide where nothing else is said of them.

    `shapes` are the sizes of an ONNX file's inputs. Raises InputError naming file and node, or what
    does not go with such a source.
    """
    suffix = Path(source).suffix
    if shapes and suffix != ONNX:
        raise InputError(f"--shape: goes with an ONNX file, not {source!r}")
    if suffix == ONNX:
        from hwsim.frontends.onnx import network_from_onnx

        return network_from_onnx(Path(source), shapes=shapes, batch=batch or 1, bits=bits)
    if suffix == PROGRAM:
        if batch:
            raise InputError(f"--batch: {source!r} has recorded one")
        from hwsim.frontends.torch import network_from_pt2

        return at_bits(network_from_pt2(Path(source)), bits)
    if is_file(source):
        raise InputError(f"{source}: expected a file ending in {ONNX} or {PROGRAM}")
    return at_bits(load_network(source, batch=batch or 1), bits)


def at_bits(network: "Network", bits: int) -> "Network":
    """All tensors of one width, sums of twice that."""
    wide = {
        layer.name: layer.at_bits(ifmap=bits, weight=bits, ofmap=bits, psum=2 * bits)
        for layer in network
    }
    return network.with_layers(wide)


def shape_options(given: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The sizes in options such as `input=1,3,224,224`. Raises InputError."""
    found = {}
    for option in given:
        name, _, sizes = option.rpartition("=")
        parts = sizes.split(",")
        if not name or not all(part.isdecimal() and int(part) for part in parts):
            raise InputError(f"--shape {option!r}: must be like input=1,3,224,224")
        found[name] = tuple(map(int, parts))
    return found
