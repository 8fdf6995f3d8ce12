"""The layers that methods compress, by module path: convolutions, linear and recurrent layers."""

import torch
from torch import Tensor, nn

from compressors.codes._code import Code
from compressors.fixed.layers import FixedPointLayer
from compressors.weights._form import code_of, latent_of
from hwsim.errors import InputError

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
LINEAR = (nn.Linear,)
WEIGHTED = (*CONVOLUTIONS, *LINEAR)
RECURRENT = (nn.LSTM,)
COMPRESSIBLE = (*WEIGHTED, *RECURRENT)
# What has weights, too, and that no method takes.
OTHERS = (
    *(nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.RNN, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell),
    *(nn.Bilinear, nn.Embedding, nn.EmbeddingBag),
)


def weighted_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Every convolution and linear layer by its path, in the order of the module."""
    return {path: part for path, part in model.named_modules() if isinstance(part, WEIGHTED)}


def weight_codes(model: nn.Module) -> dict[str, Code]:
    """The weights of every layer as codes, by path."""
    return {
        path: part.code() if isinstance(part, FixedPointLayer) else code_of(part)
        for path, part in model.named_modules()
        if isinstance(part, (*WEIGHTED, FixedPointLayer))
    }


def compressible_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Every layer that a method may take, recurrent ones too, by its path in order."""
    return {path: part for path, part in model.named_modules() if isinstance(part, COMPRESSIBLE)}


def other_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Every layer whose weights no method takes, by its path."""
    return {path: part for path, part in model.named_modules() if isinstance(part, OTHERS)}


def weight_names(layer: nn.Module) -> tuple[str, ...]:
    """The names of a layer's weight tensors; those of an LSTM hold its four gates one by one."""
    if not isinstance(layer, RECURRENT):
        return ("weight",)
    sides = ("", "_reverse") if layer.bidirectional else ("",)
    kinds = ("ih", "hh", "hr") if layer.proj_size else ("ih", "hh")
    return tuple(
        f"weight_{kind}_l{depth}{side}"
        for depth in range(layer.num_layers)
        for side in sides
        for kind in kinds
    )


def weight_of(layer: nn.Module) -> Tensor:
    """A layer's weight, [K, C, ...] or [K, C]."""
    weight: Tensor = layer.weight  # type: ignore[assignment]  # torch cannot say which it has
    return weight


def check_layers(
    model: nn.Module, layers: list[str], *, method: str, takes: tuple[type[nn.Module], ...]
) -> None:
    """Raises InputError naming a layer that the method cannot take, or whose weights are broken."""
    found, owners = compressible_layers(model), _owners(model)
    for path in layers:
        layer = found[path]
        if not isinstance(layer, takes):
            kinds = ", ".join(kind.__name__ for kind in takes)
            kind = type(layer).__name__.removeprefix("Parametrized")
            raise InputError(f"layer {path!r}: {method} takes {kinds}, not {kind}")
        names = weight_names(layer)
        _check_numbers(path, layer, method=method)
        holders = [one for name in names for one in owners[id(latent_of(layer, name))]]
        others = [one for one in holders if one != path]
        if others:
            raise InputError(f"layer {path!r}: {method}: its weights are also {others[0]!r}'s")


def _check_numbers(path: str, layer: nn.Module, *, method: str) -> None:
    weights = [getattr(layer, name) for name in weight_names(layer)]
    for weight in weights:
        if weight.dtype != torch.float32:
            kind = str(weight.dtype).removeprefix("torch.")
            raise InputError(f"layer {path!r}: {method} takes weights of float32, not {kind}")
    if not all(torch.isfinite(tensor).all() for tensor in (*weights, *layer.parameters())):
        raise InputError(f"layer {path!r}: {method}: its weights are not all finite")


def _owners(model: nn.Module) -> dict[int, list[str]]:
    """The layers by the parameter that they hold."""
    owners: dict[int, list[str]] = {}
    for path, layer in compressible_layers(model).items():
        for name in weight_names(layer):
            owners.setdefault(id(latent_of(layer, name)), []).append(path)
    return owners
