"""How functions that only move elements carry channels; None where one cannot do without them all.

Each takes the arguments of the call, of which tensors are `Channels`. Sizes written into the
network's code as numbers cannot shrink: where one is that of channels, the answer is None.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from compressors.structure._values import Channels, Size, Value


def flatten(ifmap: Channels, start_dim: int = 0, end_dim: int = -1) -> Channels | None:
    """Maps become elements of one axis, those of a channel side by side."""
    start, end = ifmap.axes(start_dim, end_dim)
    if start == end:
        return ifmap
    if start > ifmap.axis:
        return replace(ifmap, rank=ifmap.rank - (end - start))
    if start != ifmap.axis or ifmap.spread:
        return None
    return Channels(ifmap.ids, start, ifmap.rank - (end - start), spread=True)


def reshape(ifmap: Channels, *sizes: Value) -> Channels | None:
    """Flattening after the batch, or maps of one element losing or winning axes of size 1."""
    shape = tuple(sizes[0]) if sizes and isinstance(sizes[0], Sequence) else sizes
    if ifmap.axis != 1 or len(shape) < 2:
        return None
    if len(shape) == 2 and shape[1] == -1:
        return flatten(ifmap, 1)
    own = isinstance(shape[1], Size) and shape[1].counts_channels and shape[1].of.ids == ifmap.ids
    if ifmap.spread or not (own or (shape[1] == -1 and ifmap.rank == 2)):
        return None
    # Only maps of one element have as many elements as this.
    ones = all(size == 1 for size in shape[2:])
    return replace(ifmap, rank=len(shape)) if ones else None


def permute(ifmap: Channels, *order: Value) -> Channels | None:
    """Axes in another order."""
    axes = tuple(order[0]) if isinstance(order[0], Sequence) else order
    found = ifmap.axes(*(axis for axis in axes if isinstance(axis, int)))
    return replace(ifmap, axis=found.index(ifmap.axis)) if len(found) == ifmap.rank else None


def transpose(ifmap: Channels, first: int, second: int) -> Channels:
    """Two axes change places."""
    order = list(range(ifmap.rank))
    one, other = ifmap.axes(first, second)
    order[one], order[other] = other, one
    return replace(ifmap, axis=order.index(ifmap.axis))


def unsqueeze(ifmap: Channels, dim: int) -> Channels:
    """One axis more."""
    place = dim % (ifmap.rank + 1)
    return replace(ifmap, axis=ifmap.axis + (place <= ifmap.axis), rank=ifmap.rank + 1)


def squeeze(ifmap: Channels, dim: int | None = None) -> Channels | None:
    """One axis less, which must be named."""
    return None if dim is None else reduce(ifmap, dim)


def reduce(
    ifmap: Channels, dim: int | Sequence[int] | None = None, keepdim: bool = False
) -> Channels | None:
    """A sum, mean or extreme over axes that are not the channels'."""
    if dim is None:
        return None
    gone = ifmap.axes(*((dim,) if isinstance(dim, int) else dim))
    if ifmap.axis in gone:
        return None
    if keepdim:
        return ifmap
    before = sum(axis < ifmap.axis for axis in gone)
    return replace(ifmap, axis=ifmap.axis - before, rank=ifmap.rank - len(gone))


def pad(ifmap: Channels, pad: Sequence[int], mode: str = "constant", value: object = None) -> Value:
    """Padding of axes behind the channels'; a number of padded channels could not shrink."""
    return ifmap if ifmap.rank - ifmap.axis > len(pad) // 2 else None


def index(ifmap: Channels, key: Value) -> Channels | None:
    """Slices that leave the channels whole."""
    keys = key if isinstance(key, tuple) else (key,)
    axis, rank, at = ifmap.axis, ifmap.rank, 0
    for one in keys:
        if one is None:
            axis, rank = axis + (at <= ifmap.axis), rank + 1
            continue
        if not isinstance(one, int | slice) or (at == ifmap.axis and one != slice(None)):
            return None
        if isinstance(one, int):
            axis, rank = axis - (at < ifmap.axis), rank - 1
        at += 1
    return replace(ifmap, axis=axis, rank=rank)


VIEWS: dict[str, Callable[..., Value]] = {
    **{"flatten": flatten, "reshape": reshape, "view": reshape, "permute": permute},
    **{"transpose": transpose, "swapaxes": transpose, "squeeze": squeeze, "unsqueeze": unsqueeze},
    **{"mean": reduce, "sum": reduce, "amax": reduce, "amin": reduce, "pad": pad},
    **{"getitem": index},
}
