"""ThiNet: channels go that the next layer misses least; what it still reads is scaled to make up.

Luo, Wu and Lin, "ThiNet: A Filter Level Pruning Method for Deep Neural Network Compression", ICCV
2017, arXiv:1707.06342, Sec. 3.2: algorithm 1 chooses, eq. 7 scales.
"""

from collections.abc import Sequence
from typing import Annotated

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
from compressors.structure._repair import columns_of, mix_, per_atom
from compressors.structure._select import (
    check_fit,
    fine_tuned,
    keep_best,
    mended,
    one_by_one,
    unfolding_readers,
)

NAME = "thinet"
NEEDS, TAKES = Needs.IMAGES, WEIGHTED
REMOVES_CHANNELS = True


class Config(hwsim.config.Config):
    """`keep` is the share of channels that stay.

    `positions` are drawn in what the next layer makes of each of `images`, each in one of its
    channels. `between` trains after each layer, an epoch or two, and `fit` at the end.
    """

    keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    images: Annotated[int, Field(ge=1)] = 512
    positions: Annotated[int, Field(ge=1)] = 10
    seed: Annotated[int, Field(ge=0)] = 0
    between: Fit | None = None
    fit: Fit | None = None


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """Without the filters of `layers` that the layers which read their maps miss least.

    Filters whose maps are added up go together, and all their layers must be in `layers`. The
    network's last layer keeps its width and is refused.
    """
    assert data is not None
    for settings in (config.between, config.fit):
        check_fit(settings, data, method=NAME)
    few = data.first(config.images)
    for group in one_by_one(model, layers, method=NAME):
        parts = contributions(model, group, few, positions=config.positions, seed=config.seed)
        keep = keep_best(group, greedy_ranks(parts), share=config.keep)
        mix_(model, group, torch.diag(best_scales(parts, keep)))
        remove_(model, {group: keep})
        fine_tuned(model, config.between, data)
    return mended(model, config.fit, data)


def contributions(
    model: nn.Module, group: Group, data: Data, *, positions: int, seed: int
) -> Tensor:
    """Samples of what each atom adds to a sum of a layer that reads it, float64 [n, size]."""
    paths = unfolding_readers(model, group, method=NAME)
    found = read_columns(model, paths, data, positions=positions, seed=seed)
    draw, parts = torch.Generator().manual_seed(seed), []
    for member in group.readers:
        layer = model.get_submodule(member.path)
        shares = _one_sum_each(found[member.path], weight_of(layer).detach(), draw)
        parts.append(per_atom(shares.double(), columns_of(member, layer), group.size))
    return torch.cat(parts)


def _one_sum_each(columns: Columns, weight: Tensor, draw: torch.Generator) -> Tensor:
    """What each input channel adds to one drawn output of each sample, [n, C]."""
    outputs = torch.randint(len(weight), (len(columns.inputs),), generator=draw)
    rows = weight.reshape(len(weight), *columns.inputs.shape[1:])
    return (columns.inputs * rows[outputs]).sum(2)


def greedy_ranks(parts: Tensor) -> Tensor:
    """Algorithm 1: [size], the turn at which each atom goes, when each turn takes the one that,
    gone with those before it, adds up to the least sum of squares.
    """
    products = parts.T @ parts
    ranks, gone = torch.full((len(products),), -1.0), torch.zeros(len(products)).double()
    for turn in range(len(products)):
        loss = products.diagonal() + 2 * (products @ gone)
        loss[ranks >= 0] = torch.inf
        chosen = int(loss.argmin())
        ranks[chosen], gone[chosen] = turn, 1
    return ranks


def best_scales(parts: Tensor, keep: Tensor) -> Tensor:
    """[size], what kept atoms are to be multiplied by for the sums to be as before (eq. 7)."""
    scales = torch.ones(len(keep), dtype=torch.float64)
    rest = parts[:, ~keep].sum(1, keepdim=True)
    step = torch.linalg.lstsq(parts[:, keep], rest, driver="gelsd").solution
    scales[keep] += step[:, 0]
    return scales
