"""Neurons with like weights become one, without data: the one that stays speaks for both.

Srinivas and Babu, "Data-free Parameter Pruning for Deep Neural Networks", BMVC 2015,
arXiv:1507.06149: s(i, j) = <a_j^2> |w_i - w_j|^2 (eq. 6), surgery a_i += a_j (Sec. 2.1).
"""

import copy
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, fx, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._layers import WEIGHTED
from compressors.fixed.fold import fold_batch_norms
from compressors.structure._flow import graph_of
from compressors.structure._groups import Group
from compressors.structure._remove import remove_
from compressors.structure._repair import by_atom, mix_, read_weights
from compressors.structure._select import one_by_one
from compressors.weights._form import plain

NAME = "data_free_neuron_pruning"
NEEDS, TAKES = Needs.NOTHING, WEIGHTED
REMOVES_CHANNELS = True
BINS = 50
Merge: TypeAlias = tuple[float, int, int]
"""What it costs, which neuron stays, which goes."""


class Config(hwsim.config.Config):
    """`keep` is the share of neurons, or filters, that stay; without it neurons go while their
    saliency is below the most frequent one (the mode of the saliency curve, Sec. 3.2).
    """

    keep: Annotated[float, Field(gt=0, le=1)] | None = 0.5


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The neurons of `layers` merged; batch normalisations count as part of the weights.

    Filters whose maps are added up are merged together, and all their layers must be in `layers`.
    The network's last layer keeps its width and is refused.
    """
    for group in one_by_one(model, layers, method=NAME):
        own, mix = own_weights(model, group), torch.eye(group.size, dtype=torch.float64)
        keep = torch.ones(group.size, dtype=torch.bool)
        for atoms in group.strata:
            merges = merge(own[atoms], read_weights(model, group)[atoms])
            for _, stays, goes in merges[: how_many(merges, config.keep)]:
                mix[atoms[stays]] += mix[atoms[goes]]
                keep[atoms[goes]] = False
        mix_(model, group, mix)
        remove_(model, {group: keep})
    return model


def own_weights(model: nn.Module, group: Group) -> Tensor:
    """What makes each atom what it is, float64 [size, m]: weights and bias, batch-norms folded."""
    still = plain(copy.deepcopy(model))
    folded = dict(fold_batch_norms(fx.GraphModule(still, graph_of(still))).named_modules())
    parts = []
    for member in (*group.on("out"), *group.on("each")):
        # A batch-norm that was folded is in its layer's weights.
        for tensor in folded[member.path].parameters() if member.path in folded else ():
            rows = tensor.detach().double().reshape(len(tensor), -1)
            parts.append(by_atom(rows, member.atoms, group.size))
    return torch.cat(parts, dim=1)


def saliencies(own: Tensor, read: Tensor) -> Tensor:
    """s(i, j), float64 [size, size]: what it costs that i speaks for j, infinite for itself."""
    apart = torch.cdist(own, own, compute_mode="donot_use_mm_for_euclid_dist").square()
    return (read.square().mean(1) * apart).fill_diagonal_(torch.inf)


def merge(own: Tensor, read: Tensor) -> list[Merge]:
    """All merges, cheapest first, until one neuron is left; each changes what the next cost."""
    read, merges = read.clone(), []
    distances = saliencies(own, torch.ones_like(read[:, :1]))
    costs = distances * read.square().mean(1)
    for _ in range(len(own) - 1):
        stays, goes = divmod(int(costs.argmin()), len(own))
        merges.append((float(costs[stays, goes]), stays, goes))
        read[stays] += read[goes]
        distances[goes], distances[:, goes] = torch.inf, torch.inf
        costs[goes], costs[:, goes] = torch.inf, torch.inf
        costs[:, stays] = distances[:, stays] * read[stays].square().mean()
    return merges


def how_many(merges: list[Merge], share: float | None) -> int:
    """How many of the merges are made, of one neuron fewer than there are at most."""
    if share is not None:
        return len(merges) + 1 - max(1, round(share * (len(merges) + 1)))
    costs = np.array([cost for cost, _, _ in merges])
    counts, edges = np.histogram(costs, bins=BINS)
    return int((costs < edges[int(counts.argmax()) + 1]).cumprod().sum()) if len(costs) else 0
