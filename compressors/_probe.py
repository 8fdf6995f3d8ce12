"""One pass over images gathers what criteria need of all layers: their maps, or what they read.

Batches are small and what is kept of each image is a number a channel, or a few sampled columns,
so that memory stays bounded however many images there are.
"""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase as Norm

from compressors._data import Data
from compressors._layers import CONVOLUTIONS
from compressors.structure._flow import ACTIVATIONS, CURVES, PAIRS, called, graph_of
from hwsim.accuracy import one_thread
from hwsim.errors import InputError

BATCH = 64


@dataclass(frozen=True, eq=False)
class Maps:
    """What the maps of a layer's K channels look like over N images, after what follows the layer
    alone: its normalisation, its activation, an addition.

    `means` [N, K]: each map's mean; `zeros` [K]: the share of zeros (APoZ; Hu et al., 2016);
    `taylor` [K], where gradients were asked for: the mean over images of
    |mean over the map of gradient x activation| (Molchanov et al., arXiv:1611.06440, eq. 8).
    """

    means: Tensor
    zeros: Tensor
    taylor: Tensor | None = None

    def entropy(self, bins: int) -> Tensor:
        """[K], nats, of each channel's means in so many bins between its least and largest."""
        low, high = self.means.min(0).values, self.means.max(0).values
        width = torch.where(high > low, high - low, 1.0)
        places = ((self.means - low) / width * bins).long().clamp(max=bins - 1)
        shares = functional.one_hot(places, bins).double().mean(0)
        surprise: Tensor = -torch.special.xlogy(shares, shares).sum(1)
        return surprise

    def scatter(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Variances of the means, float64 [K] each: between classes, and within them."""
        means, overall = self.means.double(), self.means.double().mean(0)
        between, within = torch.zeros_like(overall), torch.zeros_like(overall)
        for label in set(labels.tolist()):
            own = means[labels == label]
            between += len(own) * (own.mean(0) - overall).square()
            within += (own - own.mean(0)).square().sum(0)
        return between / len(means), within / len(means)


@dataclass(frozen=True, eq=False)
class Columns:
    """Samples of what a layer reads and of the sums that it makes of it, without bias.

    `inputs` [n, C, R * S], of a linear layer [n, C, 1]; `sums` [n, K].
    """

    inputs: Tensor
    sums: Tensor


@dataclass
class _Tally:
    """What has been seen of a layer's maps so far."""

    means: list[Tensor] = field(default_factory=list)
    zeros: list[Tensor] = field(default_factory=list)
    taylor: list[Tensor] = field(default_factory=list)

    def add(self, maps: Tensor, slopes: Tensor | None) -> None:
        """`maps` and the loss's slopes in them, [N, K, M]."""
        self.means.append(maps.mean(2))
        self.zeros.append((maps == 0).float().mean(2))
        if slopes is not None:
            self.taylor.append((maps * slopes).mean(2).abs())

    def maps(self) -> Maps:
        """The whole."""
        taylor = torch.cat(self.taylor).mean(0) if self.taylor else None
        return Maps(torch.cat(self.means), torch.cat(self.zeros).mean(0), taylor)


class _Watched(fx.Interpreter):
    """Runs a graph and shows what some of its nodes yield."""

    def __init__(
        self,
        model: nn.Module,
        graph: fx.Graph,
        nodes: Container[fx.Node],
        see: Callable[[fx.Node, Tensor], None],
    ) -> None:
        super().__init__(fx.GraphModule(model, graph))
        self.nodes, self.see = nodes, see

    def run_node(self, n: fx.Node) -> Any:
        found = super().run_node(n)
        if n in self.nodes:
            self.see(n, found)
        return found


def feature_maps(
    model: nn.Module, layers: Sequence[str], data: Data, *, gradients: bool = False
) -> dict[str, Maps]:
    """The maps of these layers; with `gradients`, of the cross entropy with the labels of `data`.

    `model` is in evaluation mode.
    """
    graph = graph_of(model)
    sites = {path: site(model, graph, path) for path in layers}
    tallies = {path: _Tally() for path in layers}
    seen: dict[fx.Node, Tensor] = {}
    watched = _Watched(model, graph, set(sites.values()), seen.__setitem__)
    with one_thread(), torch.set_grad_enabled(gradients):
        for images, labels in batches(data):
            logits = watched.run(images.clone().requires_grad_(gradients))
            slopes = _slopes(logits, labels, seen) if gradients else {}
            for path, node in sites.items():
                linear = isinstance(model.get_submodule(path), nn.Linear)
                slope = flat(slopes[node], linear=linear) if gradients else None
                tallies[path].add(flat(seen[node].detach(), linear=linear), slope)
    return {path: tally.maps() for path, tally in tallies.items()}


def _slopes(
    logits: Tensor, labels: Tensor | None, seen: dict[fx.Node, Tensor]
) -> dict[fx.Node, Tensor]:
    """The slope of the summed cross entropy in all that was seen."""
    assert labels is not None
    loss = functional.cross_entropy(logits, labels, reduction="sum")
    slopes = torch.autograd.grad(loss, list(seen.values()))
    return dict(zip(seen, slopes, strict=True))


def flat(maps: Tensor, *, linear: bool) -> Tensor:
    """Maps of a layer as [N, K, M]; a linear layer's channels are its last axis."""
    return (maps.movedim(-1, 1) if linear else maps).reshape(
        len(maps), maps.shape[-1 if linear else 1], -1
    )


def batches(data: Data) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Images and labels, few at a time, in order."""
    for start in range(0, len(data.images), BATCH):
        labels = None if data.labels is None else data.labels[start : start + BATCH]
        yield data.images[start : start + BATCH], labels


def site(model: nn.Module, graph: fx.Graph, path: str) -> fx.Node:
    """Where a layer's map is whole: after the normalisation, activation and sum that alone read it.

    Raises InputError for a layer that the network calls never, or more than once.
    """
    found = [node for node in graph.nodes if node.op == "call_module" and node.target == path]
    if len(found) != 1:
        raise InputError(f"layer {path!r}: called {len(found)} times: it has no map of its own")
    node: fx.Node = found[0]
    while len(node.users) == 1 and _carries(model, next(iter(node.users))):
        node = next(iter(node.users))
    return node


def _carries(model: nn.Module, node: fx.Node) -> bool:
    """Whether a node's result is still its operand's map."""
    if node.op == "call_module":
        return isinstance(model.get_submodule(str(node.target)), (Norm, *ACTIVATIONS))
    return node.op in ("call_function", "call_method") and called(node) in CURVES | PAIRS


def read_columns(
    model: nn.Module, layers: Sequence[str], data: Data, *, positions: int, seed: int
) -> dict[str, Columns]:
    """What each of these layers reads and yields, at `positions` drawn places of every image.

    Equal seeds and networks draw equal places. A grouped convolution is refused with InputError.
    """
    samples: dict[str, list[tuple[Tensor, Tensor]]] = {path: [] for path in layers}
    draw = torch.Generator().manual_seed(seed)

    def see(path: str, layer: nn.Module, inputs: tuple[Tensor, ...], found: Tensor) -> None:
        samples[path].append(_sampled(path, layer, inputs[0], found, positions, draw))

    handles = [
        model.get_submodule(path).register_forward_hook(partial(see, path)) for path in layers
    ]
    try:
        with one_thread(), torch.no_grad():
            for images, _ in batches(data):
                model(images)
    finally:
        for handle in handles:
            handle.remove()
    parts = {path: list(zip(*found, strict=True)) for path, found in samples.items()}
    return {path: Columns(torch.cat(x), torch.cat(y)) for path, (x, y) in parts.items()}


def _sampled(
    path: str, layer: nn.Module, ifmap: Tensor, ofmap: Tensor, positions: int, draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """[n, C, R * S] and [n, K] at the places drawn."""
    if isinstance(layer, nn.Linear):
        columns, sums = ifmap.reshape(-1, ifmap.shape[-1], 1), ofmap.reshape(-1, ofmap.shape[-1])
        count = len(columns) // len(ifmap)
        chosen = _places(len(ifmap), count, positions, draw)
        where = (torch.arange(len(ifmap))[:, None] * count + chosen).flatten()
        columns, sums = columns[where], sums[where]
    else:
        assert isinstance(layer, CONVOLUTIONS)
        windows = _windows(path, layer, ifmap)
        flat_sums = ofmap.flatten(2)
        chosen = _places(len(ifmap), flat_sums.shape[2], positions, draw)
        index = chosen[:, None, :]
        columns = windows.gather(2, index.expand(-1, windows.shape[1], -1)).movedim(1, 2)
        columns = columns.reshape(-1, layer.in_channels, windows.shape[1] // layer.in_channels)
        sums = flat_sums.gather(2, index.expand(-1, flat_sums.shape[1], -1)).movedim(1, 2)
        sums = sums.reshape(-1, flat_sums.shape[1])
    bias = layer.bias
    return columns.clone(), sums - bias.detach() if isinstance(bias, Tensor) else sums.clone()


def _places(images: int, count: int, positions: int, draw: torch.Generator) -> Tensor:
    """[images, at most `positions`] places out of `count`, none twice in an image."""
    if positions >= count:
        return torch.arange(count).expand(images, -1)
    return torch.rand(images, count, generator=draw).topk(positions, dim=1).indices


def unfolds(layer: nn.Module) -> bool:
    """Whether `read_columns` can lay out what a layer reads."""
    if not isinstance(layer, CONVOLUTIONS):
        return True
    numbers = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return numbers and layer.groups == 1


def _windows(path: str, layer: nn.Conv1d | nn.Conv2d, ifmap: Tensor) -> Tensor:
    """[N, C * R * S, P * Q]: what the filters are laid on."""
    if not unfolds(layer) or isinstance(layer.padding, str):
        raise InputError(f"layer {path!r}: grouped, or padded in a way that is not understood")
    lift = (1,) * (2 - len(layer.kernel_size))
    image = ifmap if len(layer.kernel_size) == 2 else ifmap[:, :, None]
    return functional.unfold(
        image,
        (*lift, *layer.kernel_size),
        dilation=(*lift, *layer.dilation),
        padding=(*(0 for _ in lift), *layer.padding),
        stride=(*lift, *layer.stride),
    )
