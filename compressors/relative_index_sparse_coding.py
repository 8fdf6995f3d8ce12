"""Zeros left out: the smallest of bitmap, relative index and compressed rows for each layer.

Han, Mao and Dally, "Deep Compression", ICLR 2016, Sec. 2: relative indices of 8 bits in
convolutions and 5 in linear layers.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._layers import CONVOLUTIONS, WEIGHTED, weight_of
from compressors.codes._code import Code, Elementwise
from compressors.codes._places import Places
from compressors.codes.sparse import Sparse
from compressors.weights._form import add_wrapper_, code_of, forms
from compressors.weights.masked import Masked
from hwsim.errors import InputError

NEEDS, TAKES = Needs.NOTHING, WEIGHTED
IndexBits = Annotated[int, Field(ge=1, le=16)]


class Config(hwsim.config.Config):
    """Formats to choose from, and the bits of a relative index by kind of layer."""

    places: Annotated[tuple[Places, ...], Field(min_length=1)] = (
        "relative_index",
        "bitmap",
        "csr",
    )
    convolution_bits: IndexBits = 8
    linear_bits: IndexBits = 5


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The same network; zeros are not stored, and stay zeros."""
    for path in layers:
        layer = model.get_submodule(path)
        masked = _masked(layer, path)
        convolution = isinstance(layer, CONVOLUTIONS)
        masked.index_bits = config.convolution_bits if convolution else config.linear_bits
        masked.places = smallest(_sparse(code_of(layer)), config.places)
    return model


def smallest(code: Sparse, places: Sequence[Places]) -> Places:
    """The format that takes the fewest bits; the first of those that are equal."""

    def bits(one: Places) -> int:
        return Sparse(code.mask, code.inner, places=one, index_bits=code.index_bits).bits()

    return min(places, key=bits)


def _masked(layer: nn.Module, path: str) -> Masked:
    """The layer's mask, or one of the zeros that it has. Raises InputError naming the layer."""
    masks = [form for form in forms(layer) if isinstance(form, Masked)]
    if masks:
        return masks[0]
    code = code_of(layer)
    if not isinstance(code, Elementwise) or not code.holds_zero:
        name = "relative_index_sparse_coding"
        raise InputError(f"layer {path!r}: {name}: {code.kind} has no zeros to leave out")
    wrapper = Masked(weight_of(layer).detach() != 0)
    add_wrapper_(layer, wrapper)
    return wrapper


def _sparse(code: Code) -> Sparse:
    """What a layer's code says of its zeros, within the code that entropy coding may be."""
    inner = getattr(code, "inner", code) if not isinstance(code, Sparse) else code
    assert isinstance(inner, Sparse)
    return inner
