"""ONNX operators that slide a window over an image, or see one whole."""

from collections.abc import Sequence
from math import prod

from hwsim.frontends._onnx_call import Call, Step
from hwsim.frontends._onnx_values import Array
from hwsim.frontends._shapes import Pair, Window, pair, phases, reduced, slid
from hwsim.workload import Layer, Op


def spatial_axes(call: Call) -> int:
    """One or two. Raises UnsupportedOperatorError for volumes."""
    axes = len(call.shape(0)) - 2
    if axes not in (1, 2):
        raise call.refusal(f"an operand of {axes + 2} axes is neither a signal nor an image")
    return axes


def window(call: Call, size: Sequence[int]) -> Window:
    """The window of a convolution or pool, its padding above and to the left worked out."""
    given, axes = call.attributes, spatial_axes(call)
    ones = [1] * axes
    strides, dilations = given.get("strides", ones), given.get("dilations", ones)
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, size, strict=True)]
    return Window(
        size=pair(size, axes=axes, absent=1),
        stride=pair(strides, axes=axes, absent=1),
        dilation=pair(dilations, axes=axes, absent=1),
        pad=pair(leading_pads(call, strides, reach), axes=axes, absent=0),
    )


def leading_pads(call: Call, strides: Sequence[int], reach: Sequence[int]) -> list[int]:
    """Rows above and columns to the left."""
    rule = call.attributes.get("auto_pad", b"NOTSET").decode()
    if not rule.startswith("SAME"):
        explicit = call.attributes.get("pads", []) if rule == "NOTSET" else []
        return list(explicit[: len(reach)]) or [0] * len(reach)
    sizes = call.shape(0)[2:]
    wanted = [
        max(0, (-(-size // step) - 1) * step + span - size)
        for size, step, span in zip(sizes, strides, reach, strict=True)
    ]
    return [(total + (rule == "SAME_LOWER")) // 2 for total in wanted]


def convolution(call: Call) -> list[Step]:
    """Grouped, depthwise, strided, dilated; weights [G K, C, ...]."""
    axes, weight = spatial_axes(call), call.operand(1)
    assert weight is not None
    groups = call.attributes.get("group", 1)
    check_channels(call, groups * weight.shape[1])
    layer = slid(
        call.name,
        call.shape(0),
        call.made,
        window(call, weight.shape[2:]),
        axes=axes,
        op=Op.CONV,
        groups=groups,
    )
    weights = None if weight.array is None else weight.array.reshape(layer.shape("weight"))
    return [
        Step(layer=layer, reads=(call.node.input[0],), weight=call.node.input[1], weights=weights)
    ]


def check_channels(call: Call, wanted: int) -> None:
    """Raises UnsupportedOperatorError where the weights are for other channels."""
    if call.shape(0)[1] != wanted:
        raise call.refusal(f"its weights take {wanted} channels, not {call.shape(0)[1]}")


def transposed(call: Call) -> list[Step]:
    """See `hwsim.frontends._shapes.phases`. Weights [G C, K, R, S]. Raises
    UnsupportedOperatorError where dilated."""
    axes, weight = spatial_axes(call), call.operand(1)
    assert weight is not None
    given, ones = call.attributes, [1] * axes
    check_channels(call, weight.shape[0])
    if any(step != 1 for step in given.get("dilations", ones)):
        raise call.refusal("dilated windows are not modelled")
    slid = Window(
        size=pair(weight.shape[2:], axes=axes, absent=1),
        stride=pair(given.get("strides", ones), axes=axes, absent=1),
        pad=pair(transposed_pads(call, axes), axes=axes, absent=0),
    )
    groups = given.get("group", 1)
    found = phases(call.name, call.shape(0), call.made, slid, axes=axes, groups=groups)
    return [
        Step(
            layer=layer,
            reads=(call.node.input[0],),
            weight=call.node.input[1],
            weights=None if weight.array is None else own_taps(weight.array, layer, slid, first),
        )
        for layer, first in found
    ]


def own_taps(array: Array, layer: Layer, window: Window, first: Pair) -> Array:
    """The weights of one phase, as its layer has them."""
    filters = array.reshape(layer.G, layer.C, layer.K, *window.size).swapaxes(1, 2)
    (row, column), (tall, wide) = first, window.stride
    return filters[..., row::tall, column::wide][..., ::-1, ::-1].reshape(layer.shape("weight"))


def transposed_pads(call: Call, axes: int) -> list[int]:
    """What is cut off above and to the left of the result."""
    rule = call.attributes.get("auto_pad", b"NOTSET").decode()
    if rule in ("NOTSET", "VALID") and "output_shape" not in call.attributes:
        return list(call.attributes.get("pads", []))[:axes] or [0] * axes
    ones, sizes = [1] * axes, call.shape(0)[2:]
    strides, taps = call.attributes.get("strides", ones), call.shape(1)[2:]
    grown = [s * (i - 1) + k for s, i, k in zip(strides, sizes, taps, strict=True)]
    cut = [max(0, full - made) for full, made in zip(grown, call.made[2:], strict=True)]
    return [(total + (rule != "SAME_UPPER")) // 2 for total in cut]


def pool(call: Call) -> list[Step]:
    """Maximum, average or norm over a window."""
    axes = spatial_axes(call)
    found = window(call, call.attributes["kernel_shape"])
    layer = slid(call.name, call.shape(0), call.made, found, axes=axes, op=Op.POOL)
    return [Step(layer=layer, reads=call.varying[:1])]


def global_pool(call: Call) -> list[Step]:
    """All rows and columns become one."""
    sizes = call.shape(0)
    layer = reduced(call.name, sizes, frozenset(range(2, len(sizes))))
    return [Step(layer=layer, reads=call.varying[:1])]


def reduction(call: Call) -> list[Step]:
    """A mean, sum or extreme over axes; all where it names none."""
    sizes = call.shape(0)
    named = call.numbers("axis", 9) if "axis" in call.attributes else call.numbers("axes", 1)
    if not named and call.attributes.get("noop_with_empty_axes", 0):
        named, sizes = [0], (1, prod(sizes))
    rank = max(1, len(sizes))
    folded = frozenset(axis % rank for axis in named or range(rank)) if sizes else frozenset()
    return [Step(layer=reduced(call.name, sizes, folded), reads=call.varying[:1])]
