"""Layers made of shapes alone, whatever the file or library that the network comes from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy

from hwsim.workload import Layer, Op

Shape = tuple[int, ...]
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


def pointwise_axes(sizes: Shape) -> tuple[int, int, int, int]:
    """N, G, P, Q of a tensor that is handled element by element."""
    if len(sizes) == 4:
        return sizes[0], sizes[1], sizes[2], sizes[3]
    return prod(sizes[:-1]), sizes[-1] if sizes else 1, 1, 1


def slid(
    name: str,
    ifmap: Shape,
    ofmap: Shape,
    window: Window,
    *,
    axes: int,
    op: Op,
    groups: int | None = None,
) -> Layer:
    """The layer that slides `window` over an ifmap; without `groups` each channel alone."""
    N, channels, H, W = image(ifmap, axes=axes)
    _, filters, P, Q = image(ofmap, axes=axes)
    G = groups or channels
    return Layer(
        name=name,
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


def phases(
    name: str, ifmap: Shape, ofmap: Shape, window: Window, *, axes: int, groups: int
) -> Iterator[tuple[Layer, Pair]]:
    """A transposed convolution: one for each place that an output can have between inputs, so that
    no zero is multiplied; and its first filter row and column, of which it has every stride-th.

    Output s j + a is a sum over the taps r for which r = a + pad modulo the stride s, of the inputs
    j + (a + pad - r) / s.
    """
    (tall, wide), pad, stride = window.size, window.pad, window.stride
    made = pair(ofmap[-axes:], axes=axes, absent=1)
    for place in product(range(stride[0]), range(stride[1])):
        first = (place[0] + pad[0]) % stride[0], (place[1] + pad[1]) % stride[1]
        taps = -(-(tall - first[0]) // stride[0]), -(-(wide - first[1]) // stride[1])
        lead = (place[0] + pad[0]) // stride[0], (place[1] + pad[1]) // stride[1]
        rows = [-(-(n - at) // step) for n, at, step in zip(made, place, stride, strict=True)]
        if min(*taps, *rows) < 1:
            continue
        own = Window(size=taps, pad=(max(0, taps[0] - 1 - lead[0]), max(0, taps[1] - 1 - lead[1])))
        label = name if stride == (1, 1) else f"{name}.{place[0]}_{place[1]}"
        sizes = (*ofmap[:-axes], *rows[-axes:])
        yield slid(label, ifmap, sizes, own, axes=axes, op=Op.CONV, groups=groups), first


def padded(name: str, ifmap: Shape, ofmap: Shape, *, top: int, left: int) -> Layer:
    """The copy of an image with rows and columns around it: it reads none of these."""
    N, G, P, Q = ofmap
    H, W = ifmap[2:]
    return Layer(name=name, op=Op.COPY, N=N, G=G, P=P, Q=Q, H=H, W=W, pad_h=top, pad_w=left)


def reduced(name: str, sizes: Shape, folded: frozenset[int]) -> Layer:
    """A mean, sum or maximum over whole axes: one window per kept element.

    Over rows and columns of an image it is global pooling. Else the first axis, where kept, is N,
    the other kept axes are G, and R runs over all that is folded.
    """
    kept = [size for axis, size in enumerate(sizes) if axis not in folded]
    N = kept.pop(0) if kept and 0 not in folded else 1
    spatial = len(sizes) == 4 and folded == {2, 3}
    R = sizes[2] if spatial else prod(sizes[axis] for axis in folded)
    S = sizes[3] if spatial else 1
    return Layer(name=name, op=Op.POOL, N=N, G=prod(kept), R=R, S=S)


def as_matrices(left: Shape, right: Shape) -> tuple[Shape, Shape]:
    """Vectors as one row on the left, one column on the right."""
    return left if len(left) > 1 else (1, *left), right if len(right) > 1 else (*right, 1)


def product_sizes(left: Shape, right: Shape, *, left_is_weight: bool) -> dict[str, int]:
    """G products of N x C by C x K, broadcast as numpy's: what shares a weight folds into one."""
    left, right = as_matrices(left, right)
    batches = prod(numpy.broadcast_shapes(left[:-2], right[:-2]))
    G = prod(left[:-2]) if left_is_weight else prod(right[:-2])
    shared, rows, columns = batches // G, left[-2], right[-1]
    if left_is_weight:
        columns *= shared
    else:
        rows *= shared
    return {"G": G, "N": rows, "K": columns, "C": left[-1]}


def einsum_sizes(equation: str, left: Shape, right: Shape) -> dict[str, int] | None:
    """N of the left tensor alone, K of the right alone, G kept of both and C summed over both.

    None where the equation is no such product.
    """
    inputs, _, output = equation.replace(" ", "").partition("->")
    first, _, second = inputs.partition(",")
    summed = set(first) & set(second) - set(output)
    plain = "." not in equation and "->" in equation and "," not in second
    once = all(len(set(term)) == len(term) for term in (first, second, output))
    if not (plain and once and set(first) | set(second) == set(output) | summed):
        return None
    size = dict(zip(first + second, left + right, strict=True))
    letters = {
        "G": set(first) & set(second) & set(output),
        "N": set(first) - set(second),
        "K": set(second) - set(first),
        "C": summed,
    }
    return {dim: prod(size[letter] for letter in found) for dim, found in letters.items()}
