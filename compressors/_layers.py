"""The layers that methods compress: convolutions and linear layers, by module path."""

import torch
from torch import Tensor, nn

from compressors.codes._code import Code
from compressors.fixed.layers import FixedPointLayer
from compressors.weights._form import code_of, latent_of
from hwsim.errors import InputError

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
LINEAR = (nn.Linear,)
WEIGHTED = (*CONVOLUTIONS, *LINEAR)


def weighted_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Every layer with weights by its path, in the order of the module."""
    return {path: part for path, part in model.named_modules() if isinstance(part, WEIGHTED)}


def weight_codes(model: nn.Module) -> dict[str, Code]:
    """The weights of every layer as codes, by path."""
    return {
        path: part.code() if isinstance(part, FixedPointLayer) else code_of(part)
        for path, part in model.named_modules()
        if isinstance(part, (*WEIGHTED, FixedPointLayer))
    }


def weight_of(layer: nn.Module) -> Tensor:
    """A layer's weight, [K, C, ...] or [K, C]."""
    weight: Tensor = layer.weight  # type: ignore[assignment]  # torch cannot say which it has
    return weight


def check_layers(
    model: nn.Module, layers: list[str], *, method: str, takes: tuple[type[nn.Module], ...]
) -> None:
    """Raises InputError naming a layer that the method cannot take, or whose weights are broken."""
    found, owners = weighted_layers(model), _owners(model)
    for path in layers:
        layer = found[path]
        if not isinstance(layer, takes):
            kinds = ", ".join(kind.__name__ for kind in takes)
            kind = type(layer).__name__.removeprefix("Parametrized")
            raise InputError(f"layer {path!r}: {method} takes {kinds}, not {kind}")
        if not torch.isfinite(weight_of(layer)).all():
            raise InputError(f"layer {path!r}: {method}: its weights are not all finite")
        others = [name for name in owners[id(latent_of(layer))] if name != path]
        if others:
            raise InputError(f"layer {path!r}: {method}: its weights are also {others[0]!r}'s")


def _owners(model: nn.Module) -> dict[int, list[str]]:
    """The layers by the parameter that they hold."""
    owners: dict[int, list[str]] = {}
    for path, layer in weighted_layers(model).items():
        owners.setdefault(id(latent_of(layer)), []).append(path)
    return owners
