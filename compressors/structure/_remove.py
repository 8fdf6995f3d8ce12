"""Channels out of a network: their filters, their normalisations and what reads them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from compressors._layers import CONVOLUTIONS, weighted_layers
from compressors.activations._quantiser import input_quantiser
from compressors.structure._flow import Side
from compressors.structure._groups import Group, Member
from compressors.structure._slices import check_forms, keep_slices_
from compressors.weights._form import latent_of
from hwsim.errors import InputError

BUFFERS = ("running_mean", "running_var")
Kept = dict[tuple[str, Side], Tensor]


def remove_(model: nn.Module, keep: Mapping[Group, Tensor]) -> None:
    """Make `model` smaller, in place: of each group the atoms where `keep`, bool [size], is True.

    Modules keep their paths and identity; parameters are new, smaller ones, and masks, shared
    weights and entropy coding stay. The result's output is that of the network in which all that
    reads the channels multiplies them by zero. Groups are those of the model as it is, and know it
    no more afterwards. Raises InputError, the model untouched, where a group is fixed, a layer
    would have no channel left, or one's weights have a form that the removal would change.
    """
    for group, chosen in keep.items():
        if group.fixed and not bool(chosen.all()):
            raise InputError(f"layer {group.producers[0]!r}: its channels {group.fixed}")
    kept = {place: where for place, where in _kept(keep).items() if not bool(where.all())}
    for (path, _), where in kept.items():
        check_room(model.get_submodule(path), path, where)
    _check_owners(model, kept)
    for (path, side), where in kept.items():
        SHRINK[side](model.get_submodule(path), where)


def _kept(keep: Mapping[Group, Tensor]) -> Kept:
    """For each side of a module, which of its channels remain."""
    kept: Kept = {}
    for group, chosen in keep.items():
        for member in group.members:
            place = (member.path, member.side)
            mine = staying(member, chosen)
            kept[place] = kept[place] & mine if place in kept else mine
    return kept


def staying(member: Member, chosen: Tensor) -> Tensor:
    """Which channels of a member remain, bool of its width; other groups' do."""
    return chosen[member.atoms.clamp(min=0)] | (member.atoms < 0)


def check_room(module: nn.Module, path: str, where: Tensor) -> None:
    """Raises InputError where a module cannot lose channels, or would lose all."""
    if not bool(where.any()):
        raise InputError(f"layer {path!r}: would have no channel left")
    for tensor in ("weight", "bias"):
        check_forms(module, tensor, path=path)
    quantiser = input_quantiser(module)
    if quantiser and any(tensor.numel() > 1 for tensor in quantiser.state_dict().values()):
        raise InputError(f"layer {path!r}: its input's quantiser knows each channel")


def _check_owners(model: nn.Module, kept: Kept) -> None:
    """Raises InputError where a weight is also another layer's."""
    owners: dict[int, str] = {}
    touched = {path for path, _ in kept}
    for path, layer in weighted_layers(model).items():
        other = owners.setdefault(id(latent_of(layer)), path)
        if other != path and touched & {path, other}:
            raise InputError(f"layer {path!r}: its weights are also {other!r}'s")


def _fewer_filters(layer: nn.Module, where: Tensor) -> None:
    kept = where.nonzero().flatten()
    for tensor in ("weight", "bias"):
        keep_slices_(layer, tensor, 0, kept)
    width = "out_features" if isinstance(layer, nn.Linear) else "out_channels"
    setattr(layer, width, len(kept))


def _fewer_inputs(layer: nn.Module, where: Tensor) -> None:
    groups: int = getattr(layer, "groups", 1)
    kept = where[: len(where) // groups].nonzero().flatten()
    keep_slices_(layer, "weight", 1, kept)
    width = "in_features" if isinstance(layer, nn.Linear) else "in_channels"
    setattr(layer, width, len(kept) * groups)


def _fewer_depths(layer: nn.Module, where: Tensor) -> None:
    assert isinstance(layer, CONVOLUTIONS)
    layer.in_channels = layer.groups = int(where.sum())


def _fewer_norms(norm: nn.Module, where: Tensor) -> None:
    kept = where.nonzero().flatten()
    for tensor in ("weight", "bias", *BUFFERS):
        keep_slices_(norm, tensor, 0, kept)
    width = "num_parameters" if isinstance(norm, nn.PReLU) else "num_features"
    setattr(norm, width, len(kept))


def _fewer_zeros(module: nn.Module, where: Tensor) -> None:
    assert isinstance(module, nn.ConstantPad3d)
    left, right, top, bottom, above, below = module.padding
    first = int(where[:above].sum())
    last = int(where[len(where) - below :].sum())
    module.padding = (left, right, top, bottom, first, last)


SHRINK = {
    "out": _fewer_filters,
    "in": _fewer_inputs,
    "depth": _fewer_depths,
    "each": _fewer_norms,
    "pad": _fewer_zeros,
}


@contextmanager
def silenced(model: nn.Module, group: Group, dropped: Tensor) -> Iterator[None]:
    """All that reads the atoms where `dropped`, bool [size], is True sees zeros for a while."""
    handles = []
    for member in group.readers:
        where = ~staying(member, ~dropped)
        hook = partial(_silence, where)
        handles.append(model.get_submodule(member.path).register_forward_pre_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _silence(where: Tensor, layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    ifmap: Tensor = inputs[0]
    axis = ifmap.ndim - 1 if isinstance(layer, nn.Linear) else 1
    shape = [1] * ifmap.ndim
    shape[axis] = -1
    return (torch.where(where.reshape(shape), 0.0, ifmap), *inputs[1:])
