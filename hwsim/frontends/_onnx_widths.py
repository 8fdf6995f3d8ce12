"""How wide the words of a network are, as far as an ONNX graph says, and which weights are zero."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from hwsim.frontends._onnx_call import Step
from hwsim.frontends._onnx_trace import Trace
from hwsim.workload import Layer, Op, Tensor, Zeros

# A layer without weights that hands on words as narrow as its reader's.
HANDS_ON = frozenset({Op.POOL, Op.ACTIVATION, Op.CONCAT, Op.COPY})


def layers(trace: Trace, *, bits: int) -> tuple[Layer, ...]:
    """The layers with the words of quantised values, `bits` wide where nothing is said of them.

    A psum has the bits that hold any sum, at most twice a plain word's.
    """
    readers: dict[str, list[int]] = {}
    for name in trace.outputs:
        tell(readers, trace.makers.get(name, ()), trace.graph.values[name].bits or bits)
    found: list[Layer] = []
    for step in reversed(trace.steps):
        ofmap = max(readers.get(step.layer.name, []), default=bits)
        ifmap = declared(trace, step) or (ofmap if step.layer.op in HANDS_ON else bits)
        tell(readers, trace.read_by(step), ifmap)
        found.append(narrowed(trace, step, ifmap=ifmap, ofmap=ofmap, bits=bits))
    return tuple(reversed(found))


def tell(readers: dict[str, list[int]], makers: Iterable[str], width: int) -> None:
    """Note that somebody reads words of a width."""
    for maker in makers:
        readers.setdefault(maker, []).append(width)


def declared(trace: Trace, step: Step) -> int | None:
    """The width of a step's ifmap, if the graph says it of all that is read."""
    widths = [trace.graph.values[name].bits for name in step.reads]
    known = [width for width in widths if width]
    return max(known) if known and len(known) == len(widths) else None


def narrowed(trace: Trace, step: Step, *, ifmap: int, ofmap: int, bits: int) -> Layer:
    """A layer with its words, and its weights' zeros."""
    layer = step.layer
    if not layer.weighted:
        return layer.at_bits(ifmap=ifmap, weight=layer.weight.bits, ofmap=ofmap, psum=2 * bits)
    weight = trace.graph.values[step.weight].bits or bits
    window = (layer.C * layer.R * layer.S - 1).bit_length()
    psum = min(2 * max(bits, ifmap, weight), ifmap + weight + window)
    wide = layer.at_bits(ifmap=ifmap, weight=weight, ofmap=ofmap, psum=psum)
    return replace(wide, weight=with_zeros(trace, step, wide.weight))


def with_zeros(trace: Trace, step: Step, weight: Tensor) -> Tensor:
    """The weights with their zeros where these are known, or with the share of them."""
    array = trace.graph.values[step.weight].array
    if array is None or np.count_nonzero(array) == array.size:
        return weight
    if step.weights is None:
        return replace(weight, density=np.count_nonzero(array) / array.size)
    return replace(weight, zeros=Zeros.of(step.weights))
