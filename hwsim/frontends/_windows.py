"""Convolutions, pools and reductions: operators that slide a window, or see one whole.

Operators with one spatial axis are those of images of one row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from torch.fx import Node

from hwsim.frontends._call import Call, Shape, Step, shape
from hwsim.workload import Layer, Op

Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Window:
    """Size and steps of a window as (rows, columns); `pad` is what lies above and to the left."""

    size: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    pad: Pair = (0, 0)


def pair(values: int | Sequence[int], *, axes: int, absent: int) -> Pair:
    """Row and column value of a parameter; `absent` stands for the rows of 1-D operators."""
    both = [values] if isinstance(values, int) else list(values)
    return (absent if axes == 1 else both[0]), both[-1]


def image(sizes: Shape, *, axes: int) -> tuple[int, int, int, int]:
    """N, channels, rows and columns of a tensor with `axes` spatial axes, batched or not."""
    N, channels, *spatial = (1, *sizes) if len(sizes) == axes + 1 else sizes
    return N, channels, spatial[0] if axes == 2 else 1, spatial[-1]


def slide(
    call: Call, source: str, window: Window, *, axes: int, op: Op, groups: int | None = None
) -> Layer:
    """The layer that slides `window` over the argument `source`; None: each channel alone."""
    N, channels, H, W = image(call.shape(source), axes=axes)
    _, filters, P, Q = image(shape(call.node), axes=axes)
    G = groups or channels
    return Layer(
        name=call.name,
        op=op,
        N=N,
        G=G,
        K=filters // G,
        C=channels // G,
        P=P,
        Q=Q,
        R=window.size[0],
        S=window.size[1],
        H=H,
        W=W,
        stride_h=window.stride[0],
        stride_w=window.stride[1],
        dilation_h=window.dilation[0],
        dilation_w=window.dilation[1],
        pad_h=window.pad[0],
        pad_w=window.pad[1],
    )


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
    """A mean, sum or maximum over whole axes: one window per kept element.

    Over rows and columns of an image it is global pooling. Else the first axis, where kept, is N,
    the other kept axes are G, and R runs over all that is folded.
    """
    source: Node = call.varying[0]
    sizes = shape(source)
    folded = reduced_axes(call, max(1, len(sizes))) if sizes else frozenset()
    kept = [size for axis, size in enumerate(sizes) if axis not in folded]
    N = kept.pop(0) if kept and 0 not in folded else 1
    spatial = len(sizes) == 4 and folded == {2, 3}
    R = sizes[2] if spatial else prod(sizes[axis] for axis in folded)
    S = sizes[3] if spatial else 1
    layer = Layer(name=call.name, op=Op.POOL, N=N, G=prod(kept), R=R, S=S)
    return [Step(layer, (source,), ofmap=call.node)]
