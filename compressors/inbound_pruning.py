"""Inbound: each filter lets go of input channels that tell it little. Reduce and Reuse: channels
that vary little go, and the next layer reads what the others say of them.

Polyak and Wolf, "Channel-Level Acceleration of Deep Face Representations", IEEE Access 2015. The
1x1 convolution that reconstructs channels is folded into the layer that follows it.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED, weight_of
from compressors._probe import Columns, read_columns
from compressors.structure._groups import Group
from compressors.structure._remove import remove_
from compressors.structure._repair import mix_, moments
from compressors.structure._select import (
    check_fit,
    fine_tuned,
    keep_best,
    one_by_one,
    unfolding_readers,
)
from compressors.weights.masked import mask_

NAME = "inbound_pruning"
NEEDS, TAKES = Needs.IMAGES, WEIGHTED
REMOVES_CHANNELS = True


class Config(hwsim.config.Config):
    """`keep` is the share of input channels of each filter, or of filters, that stay.

    Samples are taken at `positions` of each of `images`; `fit` fine-tunes.
    """

    mode: Literal["inbound", "reduce_and_reuse"] = "inbound"
    keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    images: Annotated[int, Field(ge=1)] = 512
    positions: Annotated[int, Field(ge=1)] = 10
    seed: Annotated[int, Field(ge=0)] = 0
    fit: Fit | None = None


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """Inbound: masks over whole kernels of `layers`; a grouped convolution is refused.

    Reduce and Reuse: without filters of `layers`; filters whose maps are added up go together, and
    all their layers must be in `layers`; the network's last layer keeps its width and is refused.
    """
    assert data is not None
    check_fit(config.fit, data, method=NAME)
    few = data.first(config.images)
    if config.mode == "inbound":
        drawn = read_columns(model, layers, few, positions=config.positions, seed=config.seed)
        for path, columns in drawn.items():
            mask_kernels_(model.get_submodule(path), columns, share=config.keep)
    else:
        for group in one_by_one(model, layers, method=NAME):
            reuse_(model, group, few, config)
    return fine_tuned(model, config.fit, data)


def partial_variances(weight: Tensor, columns: Columns) -> Tensor:
    """[K, C], float64: how much what filter k makes of channel c alone varies over the samples."""
    inputs = columns.inputs.double() - columns.inputs.double().mean(0)
    spread = torch.einsum("ncr,ncs->crs", inputs, inputs) / len(inputs)
    kernels = weight.double().reshape(len(weight), *inputs.shape[1:])
    return torch.einsum("kcr,crs,kcs->kc", kernels, spread, kernels)


def mask_kernels_(layer: nn.Module, columns: Columns, *, share: float) -> None:
    """Keep the kernels of each filter that vary most."""
    weight = weight_of(layer).detach()
    variances = partial_variances(weight, columns)
    count = max(1, round(share * variances.shape[1]))
    order = torch.argsort(variances, dim=1, descending=True, stable=True)[:, :count]
    keep = torch.zeros(variances.shape, dtype=torch.bool).scatter_(1, order, True)
    mask_(layer, keep.reshape(*keep.shape, *[1] * (weight.ndim - 2)).expand_as(weight).clone())


def reuse_(model: nn.Module, group: Group, data: Data, config: Config) -> None:
    """Take the channels of least variance away, and let readers see their reconstruction."""
    paths = unfolding_readers(model, group, method=NAME)
    columns = read_columns(model, paths, data, positions=config.positions, seed=config.seed)
    products, means = moments(model, group, columns)
    keep = keep_best(group, products.diagonal() - means.square(), share=config.keep)
    mix_(model, group, reconstruction(products, keep))
    remove_(model, {group: keep})


def reconstruction(products: Tensor, keep: Tensor) -> Tensor:
    """[size, size]: the least-squares shares of the kept channels (rows) in each channel."""
    shares = torch.zeros_like(products)
    rows = keep.nonzero().flatten()
    shares[rows] = torch.linalg.lstsq(products[rows][:, rows], products[rows], driver="gelsd")[0]
    shares[:, keep] = torch.eye(len(keep), dtype=products.dtype)[:, keep]
    return shares
