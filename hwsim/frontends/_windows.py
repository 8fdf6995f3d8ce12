"""Convolutions, pools and reductions: operators that slide a window, or see one whole.

Operators with one spatial axis are those of images of one row.
"""

from math import prod

from torch.fx import Node

from hwsim.frontends._call import Call, Step, shape
from hwsim.frontends._shapes import Window, image, pair, phases, reduced, slid
from hwsim.workload import Layer, Op


def slide(
    call: Call, source: str, window: Window, *, axes: int, op: Op, groups: int | None = None
) -> Layer:
    """The layer that slides `window` over the argument `source`; None: each channel alone."""
    ifmap, ofmap = call.shape(source), shape(call.node)
    return slid(call.name, ifmap, ofmap, window, axes=axes, op=op, groups=groups)


def convolution(axes: int, call: Call) -> list[Step]:
    """Grouped, depthwise, strided, dilated; "same" padding puts its odd row or column last."""
    given = call.arguments
    size = pair(call.shape("weight")[2:], axes=axes, absent=1)
    dilation = pair(given["dilation"], axes=axes, absent=1)
    if given["padding"] == "same":
        pad = tuple(d * (k - 1) // 2 for d, k in zip(dilation, size, strict=True))
    elif given["padding"] == "valid":
        pad = (0, 0)
    else:
        pad = pair(given["padding"], axes=axes, absent=0)
    stride = pair(given["stride"], axes=axes, absent=1)
    window = Window(size=size, stride=stride, dilation=dilation, pad=(pad[0], pad[1]))
    layer = slide(call, "input", window, axes=axes, op=Op.CONV, groups=given["groups"])
    return [Step(layer, (given["input"],), given["weight"], call.node)]


def any_convolution(call: Call) -> list[Step]:
    """The core operator that stands for convolutions of any rank."""
    axes = len(call.shape("weight")) - 2
    if axes not in (1, 2):
        raise call.refusal("only convolutions of signals and images are modelled")
    return (transposed if call.arguments["transposed"] else convolution)(axes, call)


def transposed(axes: int, call: Call) -> list[Step]:
    """See `hwsim.frontends._shapes.phases`. Raises UnsupportedOperatorError where dilated."""
    given = call.arguments
    if pair(given["dilation"], axes=axes, absent=1) != (1, 1):
        raise call.refusal("dilated windows are not modelled")
    window = Window(
        size=pair(call.shape("weight")[2:], axes=axes, absent=1),
        stride=pair(given["stride"], axes=axes, absent=1),
        pad=pair(given["padding"], axes=axes, absent=0),
    )
    sizes = call.shape("input"), shape(call.node)
    found = phases(call.name, *sizes, window, axes=axes, groups=given["groups"])
    return [Step(layer, (given["input"],), given["weight"], call.node) for layer, _ in found]


def pool(axes: int, call: Call) -> list[Step]:
    """Maximum or average over a window; without a stride, windows do not overlap."""
    given = call.arguments
    window = Window(
        size=pair(given["kernel_size"], axes=axes, absent=1),
        stride=pair(given["stride"] or given["kernel_size"], axes=axes, absent=1),
        dilation=pair(given.get("dilation", 1), axes=axes, absent=1),
        pad=pair(given["padding"], axes=axes, absent=0),
    )
    layer = slide(call, "self", window, axes=axes, op=Op.POOL)
    return [Step(layer, (given["self"],), ofmap=call.node)]


def adaptive_pool(axes: int, call: Call) -> list[Step]:
    """Equal windows that together cover the ifmap; where sizes do not divide, they overlap."""
    _, _, *inputs = image(call.shape("self"), axes=axes)
    _, _, *outputs = image(shape(call.node), axes=axes)
    steps = [max(1, i // o) for i, o in zip(inputs, outputs, strict=True)]
    sizes = [max(1, i - (o - 1) * s) for i, o, s in zip(inputs, outputs, steps, strict=True)]
    window = Window(size=(sizes[0], sizes[1]), stride=(steps[0], steps[1]))
    layer = slide(call, "self", window, axes=axes, op=Op.POOL)
    return [Step(layer, (call.arguments["self"],), ofmap=call.node)]


def channel_pool(call: Call) -> list[Step]:
    """A 3-D average whose window spans one axis only, as in local response normalisation."""
    given = call.arguments
    depth, *spatial = given["kernel_size"]
    if {*spatial, *given["stride"][1:], *given["padding"]} - {0, 1} or any(given["padding"]):
        raise call.refusal("only windows along the first axis are modelled")
    *outer, D, H, W = call.shape("self")
    layer = Layer(
        name=call.name,
        op=Op.POOL,
        N=outer[0],
        G=prod(outer[1:]),
        P=shape(call.node)[-3],
        Q=H * W,
        R=depth,
        H=D,
        stride_h=(given["stride"] or [depth])[0],
    )
    return [Step(layer, (given["self"],), ofmap=call.node)]


def reduced_axes(call: Call, rank: int) -> frozenset[int]:
    """The axes a reduction folds; all where it names none."""
    named = call.arguments.get("dim")
    axes = range(rank) if named is None or named == [] else named
    return frozenset(axis % rank for axis in ([axes] if isinstance(axes, int) else axes))


def reduction(call: Call) -> list[Step]:
    """A mean, sum or maximum over whole axes: one window per kept element."""
    source: Node = call.varying[0]
    sizes = shape(source)
    folded = reduced_axes(call, max(1, len(sizes))) if sizes else frozenset()
    return [Step(reduced(call.name, sizes, folded), (source,), ofmap=call.node)]
