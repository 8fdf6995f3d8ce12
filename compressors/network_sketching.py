"""Network sketching: weights as sums of few binary tensors, without training.

Guo, Yao, Zhao and Chen, "Network Sketching: Exploiting Binary Structure in Deep CNNs", CVPR 2017
(arXiv:1706.02021). `compressors.execution.associative` shares additions between the tensors.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors._masks import refuse_masks
from compressors.projectors.residual_signs import ResidualSigns
from compressors.training.tuning import has_labels, tune
from compressors.weights._form import set_form_
from compressors.weights.straight_through import StraightThrough

NEEDS, TAKES = Needs.NOTHING, WEIGHTED


class Config(ResidualSigns):
    """How many binary tensors, direct or refined; training, which takes labels, is optional.

    Three are about what the paper has of them: 2.5 to 3 bits a weight.
    """

    terms: Annotated[int, Field(ge=1, le=8)] = 3
    fit: Fit = Fit(epochs=0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers sketched."""
    refuse_masks(model, layers, method="network_sketching")
    for path in layers:
        set_form_(model.get_submodule(path), StraightThrough(config))
    return tune(model, data, config.fit) if config.fit.epochs and has_labels(data) else model
