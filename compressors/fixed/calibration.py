"""One pass over calibration images: what every activation of a traced network looks like."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from compressors.fixed.fold import FOLDABLE, called_module
from compressors.fixed.grid import sample
from compressors.fixed.operators import layer_name
from hwsim.errors import InputError

BATCH = 32
SAMPLES_PER_BATCH = 1 << 15


@dataclass
class Observation:
    """The largest magnitude of an activation, each batch's ends, and a sample of its values."""

    largest: float = 0.0
    samples: list[Tensor] = field(default_factory=list)
    ends: list[tuple[float, float]] = field(default_factory=list)

    def add(self, values: Tensor) -> None:
        """Take in one batch; samples at most SAMPLES_PER_BATCH values, at seeded places."""
        self.ends.append((float(values.min()), float(values.max())))
        self.largest = max(self.largest, -self.ends[-1][0], self.ends[-1][1])
        drawn = sample(values, at_most=SAMPLES_PER_BATCH, seed=len(self.samples))
        self.samples.append(drawn.clone())

    @property
    def values(self) -> Tensor:
        """The whole sample, flat."""
        return torch.cat(self.samples)


@dataclass
class ChannelMeans:
    """The running mean of every channel of a layer's ifmap."""

    sums: Tensor | int = 0
    count: int = 0

    def add(self, ifmap: Tensor, *, axis: int) -> None:
        """Take in one batch."""
        channels = ifmap.movedim(axis, 0).flatten(1)
        self.sums = self.sums + channels.sum(1, dtype=torch.float64)
        self.count += channels.shape[1]

    @property
    def values(self) -> Tensor:
        """One float64 mean a channel."""
        return torch.as_tensor(self.sums) / self.count


class Observer(fx.Interpreter):
    """Runs a traced network and keeps an Observation of every activation by node.

    `with_tensors` are the nodes whose results are tensors or tuples of them, not sizes; `ifmaps`
    has the channel means of what each convolution and linear layer reads, by module path.
    """

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.observations: dict[fx.Node, Observation] = {}
        self.with_tensors: set[fx.Node] = set()
        self.ifmaps: dict[str, ChannelMeans] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if any(isinstance(part, Tensor) for part in parts(result)):
            self.with_tensors.add(n)
        if isinstance(result, Tensor) and result.is_floating_point() and n.op != "output":
            if not bool(result.isfinite().all()):
                raise InputError(f"layer {layer_name(n)!r}: calibration makes it overflow")
            self.observations.setdefault(n, Observation()).add(result)
        return result

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        module = self.fetch_attr(str(target))
        if isinstance(module, FOLDABLE):
            channel_axis = -1 if isinstance(module, nn.Linear) else 1
            self.ifmaps.setdefault(str(target), ChannelMeans()).add(args[0], axis=channel_axis)
        return super().call_module(target, args, kwargs)


def parts(result: object) -> tuple[object, ...]:
    """The members of an operator's result."""
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def observe(traced: fx.GraphModule, calibration: Tensor) -> Observer:
    """Runs the network over the images, N first. Raises InputError where they do not fit."""
    observer = Observer(traced)
    try:
        with torch.no_grad():
            for batch in torch.split(calibration, BATCH):
                observer.run(batch)
    except RuntimeError as fault:  # torch has no class of its own for a shape that does not fit
        shape = "x".join(map(str, calibration.shape))
        raise InputError(
            f"calibration of shape {shape} does not fit the network: {str(fault).splitlines()[0]}"
        ) from fault
    return observer


def check_calibration(calibration: Tensor) -> None:
    """Raise InputError unless there is at least one image and every value is finite."""
    if calibration.ndim < 2 or calibration.numel() == 0:
        raise InputError(f"calibration: expected at least one image, found {[*calibration.shape]}")
    if not calibration.is_floating_point() or not bool(calibration.isfinite().all()):
        raise InputError("calibration: expected finite floating-point images")


def check_weights(traced: fx.GraphModule) -> None:
    """Raise InputError where a layer's weights are not finite."""
    for node in traced.graph.nodes:
        module = called_module(traced, node)
        for key, tensor in (module.state_dict() if isinstance(module, nn.Module) else {}).items():
            if not bool(tensor.isfinite().all()):
                raise InputError(f"layer {node.target!r}: {key}: holds values that are not finite")
