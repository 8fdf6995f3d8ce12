"""A tensor of a layer without some of its slices, whatever form it has."""

from functools import singledispatch

from torch import Tensor, nn
from torch.nn.utils import parametrize

from compressors.codes.codebook import Codebook
from compressors.weights._form import forms, latent_of, strip_
from compressors.weights.entropy_coded import EntropyCoded
from compressors.weights.masked import Masked
from compressors.weights.shared import Shared
from hwsim.errors import InputError


@singledispatch
def without(form: nn.Module, latent: Tensor, dim: int, kept: Tensor) -> nn.Module | None:
    """The form of the weights that remain; None where they need none."""
    raise TypeError(f"{type(form).__name__}: weights that remain would change: check_forms first")


@without.register
def _(form: Masked, latent: Tensor, dim: int, kept: Tensor) -> nn.Module | None:
    mask = form.mask.index_select(dim, kept)
    if bool(mask.all()):
        return None  # of a code without zeros there would be nothing to leave out
    return Masked(mask, places=form.places, index_bits=form.index_bits)


@without.register
def _(form: EntropyCoded, latent: Tensor, dim: int, kept: Tensor) -> nn.Module:
    return EntropyCoded()


@without.register
def _(form: Shared, latent: Tensor, dim: int, kept: Tensor) -> nn.Module:
    return Shared(Codebook(form.indices.index_select(dim, kept), latent.detach().clone()))


def check_forms(layer: nn.Module, tensor: str, *, path: str) -> None:
    """Raises InputError naming a form in which the weights that remain would change."""
    for form in forms(layer, tensor):
        if without.dispatch(type(form)) is without.dispatch(nn.Module):
            kind = type(form).__name__
            raise InputError(
                f"layer {path!r}: its {tensor} is {kind}: take its channels away first"
            )


def keep_slices_(layer: nn.Module, tensor: str, dim: int, kept: Tensor) -> None:
    """Keep the slices `kept`, int64, of a parameter's or buffer's axis `dim`; None stays None."""
    found = getattr(layer, tensor, None)
    if found is None:
        return
    fewer = found.detach().index_select(dim, kept)
    if not forms(layer, tensor) and not isinstance(found, nn.Parameter):
        setattr(layer, tensor, fewer)
        return
    latent = latent_of(layer, tensor)
    remaining = [without(form, latent, dim, kept) for form in forms(layer, tensor)]
    strip_(layer, tensor)
    setattr(layer, tensor, nn.Parameter(fewer, requires_grad=latent.requires_grad))
    for form in remaining:
        if form is not None:
            parametrize.register_parametrization(layer, tensor, form)
