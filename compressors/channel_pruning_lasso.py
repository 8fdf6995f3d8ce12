"""Channels go that a LASSO of what the next layer reads leaves out; that layer is then refitted.

He, Zhang and Sun, "Channel Pruning for Accelerating Very Deep Neural Networks", ICCV 2017,
arXiv:1707.06168, Sec. 3.1: (i) lambda grows until at most c' coefficients are left, (ii) the
weights of least squares.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED, weight_of, weighted_layers
from compressors._probe import Columns, read_columns
from compressors.structure._groups import Group
from compressors.structure._lasso import sparse_coefficients
from compressors.structure._remove import remove_, staying
from compressors.structure._repair import columns_of, per_atom, refit_
from compressors.structure._select import (
    check_fit,
    keep_best,
    mended,
    one_by_one,
    unfolding_readers,
)

NAME = "channel_pruning_lasso"
NEEDS, TAKES = Needs.IMAGES, WEIGHTED
REMOVES_CHANNELS = True
BLOCK = 1024


class Config(hwsim.config.Config):
    """`keep` is the share of channels that stay.

    `positions` of what the next layer makes of each of `images` are to be kept; `fit` fine-tunes.
    """

    keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    images: Annotated[int, Field(ge=1)] = 512
    positions: Annotated[int, Field(ge=1)] = 10
    seed: Annotated[int, Field(ge=0)] = 0
    fit: Fit | None = None


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """Without the filters of `layers` that the layers which read their maps can do without.

    What these yield is fitted to what they yielded on their own inputs before. Filters whose maps
    are added up go together, and all their layers must be in `layers`. The network's last layer
    keeps its width and is refused.
    """
    assert data is not None
    check_fit(config.fit, data, method=NAME)
    few, original = data.first(config.images), copy.deepcopy(model)
    kept = {p: torch.arange(len(weight_of(part))) for p, part in weighted_layers(model).items()}
    for group in one_by_one(model, layers, method=NAME):
        paths = unfolding_readers(model, group, method=NAME)
        sample = partial(
            read_columns, layers=paths, data=few, positions=config.positions, seed=config.seed
        )
        sums = {path: found.sums for path, found in sample(original).items()}
        now = {p: Columns(f.inputs, sums[p][:, kept[p]]) for p, f in sample(model).items()}
        chosen = choice(model, group, now, share=config.keep)
        remove_(model, {group: chosen})
        for member in group.on("out"):
            kept[member.path] = kept[member.path][staying(member, chosen)]
        for path, found in sample(model).items():
            target = Columns(found.inputs, sums[path][:, kept[path]])
            refit_(model.get_submodule(path), target, path=path)
    return mended(model, config.fit, data)


def choice(
    model: nn.Module, group: Group, columns: Mapping[str, Columns], *, share: float
) -> Tensor:
    """Where, bool [size], the LASSO of all readers together keeps a coefficient."""
    products, sums = normal_equations(model, group, columns)
    count = sum(max(1, round(share * len(atoms))) for atoms in group.strata)
    coefficients, _ = sparse_coefficients(products.numpy(), sums.numpy(), count)
    return keep_best(group, torch.from_numpy(np.abs(coefficients)), share=share)


def normal_equations(
    model: nn.Module, group: Group, columns: Mapping[str, Columns]
) -> tuple[Tensor, Tensor]:
    """Z'Z [size, size] and Z'y [size], float64: of what each atom, its weights of norm 1, adds to
    the sums y of the layers that read it.
    """
    products = torch.zeros(group.size, group.size, dtype=torch.float64)
    sums, squares = products.new_zeros(group.size), products.new_zeros(group.size)
    for member in group.readers:
        layer, found = model.get_submodule(member.path), columns[member.path]
        atoms = columns_of(member, layer).repeat_interleave(found.inputs.shape[2])
        inputs, wanted = found.inputs.flatten(1).double(), found.sums.double()
        weight = weight_of(layer).detach().double().flatten(1)
        squares += per_atom(weight.square().sum(0), atoms, group.size)
        sums += per_atom(((wanted.T @ inputs) * weight).sum(0), atoms, group.size)
        for block in torch.split(torch.arange(len(atoms)), BLOCK):
            # A sum over samples and outputs of products is a product of two sums.
            parts = (inputs[:, block].T @ inputs) * (weight[:, block].T @ weight)
            own = atoms[block] >= 0
            rows = per_atom(parts, atoms, group.size)[own]
            products.index_add_(0, atoms[block][own], rows)
    norms = torch.where(squares > 0, squares.sqrt(), 1.0)
    return products / norms / norms[:, None], sums / norms
