"""How wide each module of a network is, as numbers for a file; and a network made as wide.

What a file of weights alone does not tell: how many groups a convolution has, and how many channels
a padding adds.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase as Norm

from compressors._layers import CONVOLUTIONS
from compressors.fixed.layers import FixedPointConv, FixedPointLinear
from compressors.structure._remove import BUFFERS
from compressors.weights._form import forms
from hwsim.errors import InputError

Widths = dict[str, dict[str, list[int]]]
KEYS: dict[type[nn.Module], tuple[str, ...]] = {
    **dict.fromkeys(CONVOLUTIONS, ("in_channels", "out_channels", "groups")),
    FixedPointConv: ("in_channels", "out_channels", "groups"),
    **dict.fromkeys((nn.Linear, FixedPointLinear), ("in_features", "out_features")),
    Norm: ("num_features",),
    nn.PReLU: ("num_parameters",),
    nn.ConstantPad3d: ("padding",),
}


def _keys(module: nn.Module) -> tuple[str, ...]:
    return next((keys for kind, keys in KEYS.items() if isinstance(module, kind)), ())


def widths_of(model: nn.Module) -> Widths:
    """The widths of every module that removal can change, by path; JSON-able."""
    found: Widths = {}
    for path, module in model.named_modules():
        values = {key: getattr(module, key) for key in _keys(module)}
        if values:
            listed = {k: list(v) if isinstance(v, tuple) else [v] for k, v in values.items()}
            found[path] = listed
    return found


def set_widths_(model: nn.Module, widths: Mapping[str, Mapping[str, list[int]]]) -> None:
    """Make plain modules as wide as `widths` say; the tensors of those that change are zeros.

    Raises InputError naming a module that the network has not, or of another kind, or that bears a
    form already.
    """
    for path, wanted in widths.items():
        modules = dict(model.named_modules())
        if path not in modules or set(_keys(modules[path])) != set(wanted):
            raise InputError(f"layer {path!r}: the network has no such module with {[*wanted]}")
        module = modules[path]
        if forms(module) or forms(module, "bias"):
            raise InputError(f"layer {path!r}: its weights have a form: widths come first")
        if widths_of(module)[""] != {key: list(value) for key, value in wanted.items()}:
            _resize_(module, wanted)


def _resize_(module: nn.Module, wanted: Mapping[str, list[int]]) -> None:
    for key, value in wanted.items():
        setattr(module, key, tuple(value) if key == "padding" else value[0])
    for name in ("weight", "bias", *BUFFERS):
        found = getattr(module, name, None)
        if isinstance(found, torch.Tensor):
            empty = found.new_zeros(_shape(module, name, found))
            trains = isinstance(found, nn.Parameter) and found.requires_grad
            like = nn.Parameter(empty, requires_grad=trains)
            setattr(module, name, like if isinstance(found, nn.Parameter) else empty)


def _shape(module: nn.Module, name: str, found: torch.Tensor) -> tuple[int, ...]:
    """The shape of a module's tensor at the widths it now has."""
    if isinstance(module, nn.Linear):
        first, second = module.out_features, module.in_features
    elif isinstance(module, nn.Conv1d | nn.Conv2d):
        first, second = module.out_channels, module.in_channels // module.groups
    else:
        return (int(getattr(module, _keys(module)[0])),)
    return (first, second, *found.shape[2:]) if name == "weight" else (first,)
