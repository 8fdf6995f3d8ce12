"""The sizes of a network's layers, so that one can be given those of another."""

from typing import Any

import torch
from torch import nn

# What sizes a module's tensors, and which tensors have channels on their first axis.
SIZES = {
    nn.Conv1d: ("in_channels", "out_channels", "groups"),
    nn.Conv2d: ("in_channels", "out_channels", "groups"),
    nn.Linear: ("in_features", "out_features"),
    nn.BatchNorm1d: ("num_features",),
    nn.BatchNorm2d: ("num_features",),
}
Sizes = dict[str, int]


def geometry(model: nn.Module) -> dict[str, Sizes]:
    """The sizes of every sized layer by path."""
    return {
        path: {key: getattr(part, key) for key in keys}
        for path, part in model.named_modules()
        if (keys := _keys(part))
    }


def reshape_(model: nn.Module, wanted: dict[str, Sizes]) -> None:
    """Give layers these sizes; one whose sizes differ gets new tensors, zeros. Raises KeyError."""
    for path, sizes in geometry(model).items():
        if wanted[path] != sizes:
            _resize(model.get_submodule(path), wanted[path])


def _keys(part: nn.Module) -> tuple[str, ...]:
    return next((keys for kind, keys in SIZES.items() if isinstance(part, kind)), ())


def _resize(part: Any, sizes: Sizes) -> None:
    for key, value in sizes.items():
        setattr(part, key, value)
    first = next(value for key, value in sizes.items() if key.startswith(("out_", "num_")))
    for name, tensor in [*part.named_parameters(), *part.named_buffers()]:
        if not tensor.ndim:
            continue
        shape = [first, *tensor.shape[1:]]
        if tensor.ndim > 1:
            inputs = next(value for key, value in sizes.items() if key.startswith("in_"))
            shape[1] = inputs // sizes.get("groups", 1)
        fresh = torch.zeros(shape, dtype=tensor.dtype)
        if isinstance(tensor, nn.Parameter):
            setattr(part, name, nn.Parameter(fresh))
        else:
            part.register_buffer(name, fresh)
