"""Channels stay that tell classes apart; in layers before, those that feed them.

Tian, Arbel and Clark, "Deep LDA-Pruned Nets for Efficient Facial Gender Classification", CVPRW
2017, arXiv:1704.06305: channels of the last layer are nearly uncorrelated within a class, so that
linear discriminant analysis comes down to one ratio for each, of the variance between classes to
that within (Sec. 3.1). What earlier layers contribute to the channels kept is traced back through
the weights (Sec. 3.2); here as the sum over readers of importance times absolute weights. The
classifier stays as it is, and is fine-tuned.
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
from compressors._probe import Maps, feature_maps
from compressors.structure._groups import Group
from compressors.structure._remove import remove_
from compressors.structure._repair import by_atom, columns_of
from compressors.structure._select import atom_scores, groups_of, keep_best, mended

NAME = "lda_pruning"
NEEDS, TAKES = Needs.LABELS, WEIGHTED
REMOVES_CHANNELS = True
TINY = 1e-12


class Config(hwsim.config.Config):
    """`keep` is the share of channels that stay; `images` of the data are looked at.

    With `trace`, the ratio is that of the last of the layers, and those before follow from it;
    without, every layer has its own. `fit` retrains.
    """

    keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    trace: bool = True
    images: Annotated[int, Field(ge=1)] = 1024
    fit: Fit | None = None


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """Without the channels of `layers` that tell classes apart least.

    Channels that are added up go together, and all their layers must be in `layers`. The network's
    last layer keeps its width and is refused.
    """
    assert data is not None
    groups, few = groups_of(model, layers, method=NAME), data.first(config.images)
    sources = groups[-1:] if config.trace else groups
    maps = feature_maps(model, [path for g in sources for path in g.producers], few)
    keep: dict[Group, Tensor] = {}
    importance: dict[str, Tensor] = {}
    for group in reversed(groups):
        scores = traced(model, group, importance)
        if group in sources:
            scores = atom_scores(group, ratios(maps, few))
        keep[group] = keep_best(group, scores, share=config.keep)
        mattering = torch.where(keep[group], scores / scores.sum().clamp(min=TINY), 0.0)
        importance |= {m.path: mattering[m.atoms] for m in group.on("out")}
    remove_(model, keep)
    return mended(model, config.fit, data)


def ratios(maps: dict[str, Maps], data: Data) -> dict[str, Tensor]:
    """The variance between classes over that within, [K] of each layer."""
    assert data.labels is not None
    scatters = {path: found.scatter(data.labels) for path, found in maps.items()}
    return {path: between / within.clamp(min=TINY) for path, (between, within) in scatters.items()}


def within_correlations(maps: Maps, labels: Tensor) -> Tensor:
    """[K, K]: how channels correlate within classes; the closer to one on the diagonal alone, the
    less is lost by taking each for itself.
    """
    own = maps.means.double().clone()
    for label in set(labels.tolist()):
        own[labels == label] -= own[labels == label].mean(0)
    return torch.corrcoef(own.T)


def traced(model: nn.Module, group: Group, importance: dict[str, Tensor]) -> Tensor:
    """[size]: what each atom feeds into outputs of known importance, through absolute weights.

    Layers of unknown importance count all outputs alike.
    """
    scores = torch.zeros(group.size, dtype=torch.float64)
    for member in group.readers:
        layer = model.get_submodule(member.path)
        weight = weight_of(layer).detach().double().abs()
        outputs = importance.get(member.path, torch.full((len(weight),), 1 / len(weight)).double())
        fed = torch.tensordot(outputs, weight, dims=1).reshape(weight.shape[1], -1)
        scores += by_atom(fed, columns_of(member, layer), group.size).sum(1)
    return scores
