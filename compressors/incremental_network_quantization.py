"""INQ: weights become powers of two in portions; those that still are not make up for the rest.

Zhou, Yao, Guo, Xu and Chen, "Incremental Network Quantization: Towards Lossless CNNs with
Low-Precision Weights", ICLR 2017.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED, weight_of
from compressors.projectors.powers import Powers
from compressors.weights._form import forms, set_form_
from compressors.weights.partly import Partly
from compressors.weights.rounded import Rounded

NEEDS, TAKES = Needs.LABELS, WEIGHTED
Share = Annotated[float, Field(gt=0, le=1)]


class Config(hwsim.config.Config):
    """Levels 0 and +-2^n1 to +-2^n2, with n2 = n1 + 1 - 2^(bits - 2).

    `portions` of the weights are quantised, all told, each time the largest first or at random, and
    `fit` trains the others after each but the last.
    """

    bits: Annotated[int, Field(ge=3, le=7)] = 5
    portions: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.5, 0.75, 0.875, 1.0)
    partition: Literal["magnitude", "random"] = "magnitude"
    fit: Fit = Fit(epochs=0.5, learning_rate=0.005)

    @field_validator("portions")
    @classmethod
    def _all_in_the_end(cls, portions: tuple[float, ...]) -> tuple[float, ...]:
        if list(portions) != sorted(set(portions)) or portions[-1] != 1:
            raise ValueError("portions must grow to 1")
        return portions

    @property
    def powers(self) -> Powers:
        """The levels: a bit for zero, and 2^(bits - 1) powers with their signs."""
        return Powers(bits=self.bits, ladder=2 ** (self.bits - 2))


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers with weights that are powers of two."""
    assert data is not None
    assert data.labels is not None
    draw = torch.Generator().manual_seed(config.fit.seed)
    # n1 and n2 are those of the weights as they came.
    sets = {
        path: Rounded(config.powers.project(weight_of(model.get_submodule(path)).detach()))
        for path in layers
    }
    for portion in config.portions[:-1]:
        for path, levels in sets.items():
            freeze_(model.get_submodule(path), levels, portion, config, draw)
        fit(model, data.images, data.labels, config.fit)
    return finished(model, sets)


def finished(model: nn.Module, sets: Mapping[str, Rounded]) -> nn.Module:
    """The model with all weights on their levels."""
    for path, levels in sets.items():
        set_form_(model.get_submodule(path), levels)
    return model


def freeze_(
    layer: nn.Module, levels: Rounded, portion: float, config: Config, draw: torch.Generator
) -> None:
    """Quantise more of a layer's weights, until a `portion` of them is; those that are, stay."""
    weight = weight_of(layer).detach()
    frozen = frozen_of(layer)
    ranks = weight.abs() if config.partition == "magnitude" else drawn_like(weight, draw)
    ranks = torch.where(frozen, torch.inf, ranks).flatten()
    chosen = torch.zeros(ranks.shape, dtype=torch.bool)
    chosen[ranks.argsort(descending=True, stable=True)[: round(portion * len(ranks))]] = True
    # A level is its own nearest, so weights frozen before keep their values.
    set_form_(layer, Partly(levels.code(weight).decode(), chosen.reshape(weight.shape)))


def frozen_of(layer: nn.Module) -> Tensor:
    """Which of a layer's weights are quantised already."""
    found = [form.frozen for form in forms(layer) if isinstance(form, Partly)]
    return found[0] if found else torch.zeros(weight_of(layer).shape, dtype=torch.bool)


def drawn_like(weight: Tensor, draw: torch.Generator) -> Tensor:
    """A random number for each weight."""
    return torch.rand(weight.shape, generator=draw)
