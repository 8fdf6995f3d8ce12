"""Filters of small absolute sum go, with their maps and what reads them.

Li, Kadav, Durdanovic, Samet and Graf, "Pruning Filters for Efficient ConvNets", ICLR 2017,
arXiv:1608.08710, Sec. 3: s = sum |F| of each filter.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED, weight_of
from compressors.structure._remove import remove_
from compressors.structure._select import (
    atom_scores,
    check_fit,
    groups_of,
    keep_best,
    mended,
    one_by_one,
)

NAME = "l1_filter_pruning"
NEEDS, TAKES = Needs.NOTHING, WEIGHTED
REMOVES_CHANNELS = True


class Config(hwsim.config.Config):
    """`keep` is the share of filters that stay; the others go at once, and `fit` retrains.

    A greedy selection leaves kernels that read filters already gone out of the sums (Sec. 3.2).
    """

    keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    selection: Literal["independent", "greedy"] = "independent"
    fit: Fit | None = None


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """Without the weakest filters of `layers`; what reads them shrinks as well.

    Filters whose maps are added up go together, by their mean sum, and all their layers must be in
    `layers`. The network's last layer keeps its width and is refused.
    """
    check_fit(config.fit, data, method=NAME)
    if config.selection == "independent":
        groups, sums = groups_of(model, layers, method=NAME), absolute_sums(model, layers)
        keep = (keep_best(g, atom_scores(g, sums), share=config.keep) for g in groups)
        remove_(model, dict(zip(groups, keep, strict=True)))
    else:
        for group in one_by_one(model, layers, method=NAME):
            scores = atom_scores(group, absolute_sums(model, layers))
            remove_(model, {group: keep_best(group, scores, share=config.keep)})
    return mended(model, config.fit, data)


def absolute_sums(model: nn.Module, layers: Sequence[str]) -> dict[str, Tensor]:
    """The absolute sum of each filter, [K], of these layers."""
    weights = {path: weight_of(model.get_submodule(path)).detach() for path in layers}
    return {path: weight.abs().flatten(1).sum(1) for path, weight in weights.items()}
