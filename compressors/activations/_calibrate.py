"""One pass of a network over calibration images: what each layer's ifmap looks like."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from compressors._layers import weighted_layers
from compressors.fixed.calibration import BATCH, Observation
from hwsim.errors import InputError

MOST_IMAGES = 1024
See = Callable[[str, Tensor], None]


def observe(
    model: nn.Module, layers: Sequence[str], images: Tensor, *, method: str
) -> dict[str, Observation]:
    """What each of the layers reads, by path, before any quantiser of its own; images N x ...

    Of more than MOST_IMAGES, evenly spaced ones serve.
    Raises InputError where the images do not fit, make a layer overflow, or do not reach it.
    """
    found: dict[str, Observation] = {}

    def see(path: str, ifmap: Tensor) -> None:
        if not bool(ifmap.isfinite().all()):
            raise InputError(f"layer {path!r}: {method}: calibration makes it overflow")
        found.setdefault(path, Observation()).add(ifmap)

    run(model, layers, images[:: -(-len(images) // MOST_IMAGES)], see)
    for path in layers:
        if path not in found:
            raise InputError(f"layer {path!r}: {method}: no calibration image reaches it")
    return found


def image_layer(model: nn.Module, layers: Sequence[str], images: Tensor) -> str | None:
    """The path of the network's first layer with weights, if it is one of `layers`."""
    order: list[str] = []
    run(model, list(weighted_layers(model)), images[:1], lambda path, _: order.append(path))
    return order[0] if order and order[0] in layers else None


def run(model: nn.Module, layers: Sequence[str], images: Tensor, see: See) -> None:
    """Runs the network in evaluation mode, batch by batch; `see(path, ifmap)` gets to look in."""
    model.eval()
    try:
        with torch.no_grad(), watched(model, layers, see):
            for batch in torch.split(images, BATCH):
                model(batch)
    except RuntimeError as fault:  # torch has no class of its own for a shape that does not fit
        shape = "x".join(map(str, images.shape))
        raise InputError(
            f"calibration of shape {shape} does not fit the network: {str(fault).splitlines()[0]}"
        ) from fault


@contextmanager
def watched(model: nn.Module, layers: Sequence[str], see: See) -> Iterator[None]:
    """For a while, `see` gets the ifmaps of the layers, before what else hooks them."""

    def watch(path: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda _, inputs: see(path, inputs[0])

    handles = [
        model.get_submodule(path).register_forward_pre_hook(watch(path), prepend=True)
        for path in layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
