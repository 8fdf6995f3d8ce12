"""BinaryRelax: weights drawn to the quantised set ever more, then held to it.

Yin, Zhang, Lyu, Osher, Qi and Xin, "BinaryRelax: A Relaxation Approach for Training Deep Neural
Networks with Quantized Weights", SIAM J. Imaging Sciences 2018 (arXiv:1801.06313), Alg. 1.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import WEIGHTED
from compressors._masks import refuse_masks
from compressors.projectors._projector import Projector, Scope
from compressors.projectors.scaled_levels import ScaledLevels
from compressors.projectors.signs import Signs
from compressors.training.tuning import tune
from compressors.weights._form import latent_of, set_form_
from compressors.weights.relaxed import Relaxed
from compressors.weights.straight_through import StraightThrough

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """The set; the strength at first and its growth each `period` steps; training in two phases.

    In the second phase weights are in the set, at a lower rate.
    """

    levels: Literal["binary", "ternary", "quinary"] = "ternary"
    scope: Scope = "layer"
    strength: Annotated[float, Field(ge=0)] = 1.0
    growth: Annotated[float, Field(ge=1)] = 1.1
    period: Annotated[int, Field(ge=1)] = 2
    fit: Fit = Fit(epochs=2.0, schedule="constant")
    exact_fit: Fit = Fit(epochs=1.0, learning_rate=5e-3)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with weights of the set, the network trained."""
    if config.levels == "binary":
        refuse_masks(model, layers, method="binaryrelax")
    projector = projector_of(config)
    relaxed = {path: Relaxed(projector, config.strength) for path in layers}

    def grow(step: int) -> None:
        if (step + 1) % config.period == 0:
            for form in relaxed.values():
                form.strength *= config.growth

    for path, form in relaxed.items():
        set_form_(model.get_submodule(path), form)
    tune(model, data, config.fit, after_step=grow)
    for path in layers:
        exact_(model.get_submodule(path), projector)
    return tune(model, data, config.exact_fit)


def exact_(layer: nn.Module, projector: Projector) -> None:
    """Hold a relaxed layer to the set; its latent goes on as it is."""
    latent = latent_of(layer).detach().clone()
    set_form_(layer, StraightThrough(projector))
    latent_of(layer).data.copy_(latent)


def projector_of(config: Config) -> Projector:
    """The set's projector."""
    if config.levels == "binary":
        return Signs(scope=config.scope)
    last = 0 if config.levels == "ternary" else 1
    return ScaledLevels(last=last, scope=config.scope)
