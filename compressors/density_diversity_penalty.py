"""The density-diversity penalty: few weights that are not zero, and few different values.

Wang, Cai, Bilmes and Noble, "Training Compressed Fully-Connected Networks with a Density-Diversity
Penalty", ICLR 2017.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED, weight_of
from compressors.projectors.kmeans import KMeans
from compressors.training.diversity import diversity_slope
from compressors.training.free import free_
from compressors.training.proximal import soft_threshold
from compressors.weights._form import latent_of, set_form_
from compressors.weights.masked import mask_
from compressors.weights.shared import Shared

NEEDS, TAKES = Needs.LABELS, WEIGHTED
TINY = 1e-12  # in place of the norm of weights that are all zero
Strength = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Config(hwsim.config.Config):
    """`train` with both penalties, tie the weights of each layer, `fit` the tied values; `cycles`.

    `density` times the L1 norm acts by soft thresholds, `diversity` times the sum over weights of
    the mean difference from all others by its slope, both over the L1 norm that all weights had:
    so the penalties begin at about these numbers, beside the loss, however large the network. Each
    step draws, with chance `share`, which layers are penalised. Ties are the 2^`bits` centroids of
    a layer, zeros apart. The exponents of the paper's density term and its order of tying are not
    told here as there: L1, and k-means.
    """

    density: Strength = 1.0
    diversity: Strength = 0.25
    share: float = Field(default=0.5, gt=0, le=1)
    bits: int = Field(default=4, ge=1, le=12)
    cycles: int = Field(default=1, ge=1, le=100)
    seed: int = Field(default=0, ge=0, lt=2**32)
    train: Fit = Fit(epochs=3.0, learning_rate=0.05, weight_decay=0.0)
    fit: Fit = Fit(learning_rate=0.1)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with shared weights behind masks."""
    assert data is not None
    assert data.labels is not None
    parts = [model.get_submodule(path) for path in layers]
    draw = torch.Generator().manual_seed(config.seed)
    for _ in range(config.cycles):
        for layer in parts:
            free_(layer)
        after_step = penalties(parts, config, len(data.images), draw)
        fit(model, data.images, data.labels, config.train, after_step=after_step)
        for layer in parts:
            tie_(layer, config.bits)
        fit(model, data.images, data.labels, config.fit)
    return model


def penalties(
    parts: list[nn.Module], config: Config, images: int, draw: torch.Generator
) -> Callable[[int], None]:
    """The hook that takes both penalties' step on the layers that it draws."""
    settings, steps = config.train, config.train.steps(images)
    norm = sum(float(latent_of(layer).detach().abs().sum()) for layer in parts)
    density, diversity = config.density / max(norm, TINY), config.diversity / max(norm, TINY)

    def after_step(step: int) -> None:
        rate = settings.rate(step, steps) / (1 - settings.momentum)
        chosen = torch.rand(len(parts), generator=draw) < config.share
        with torch.no_grad():
            for layer, yes in zip(parts, chosen.tolist(), strict=True):
                if yes:
                    latent = latent_of(layer)
                    latent -= rate * diversity / latent.numel() * diversity_slope(latent)
                    latent.copy_(soft_threshold(latent, rate * density))

    return after_step


def tie_(layer: nn.Module, bits: int) -> None:
    """Let the weights of a layer share the centroids of their values; zeros stay."""
    weight = weight_of(layer).detach()
    set_form_(layer, Shared(KMeans(bits=bits).project(weight)))
    if not weight.all():
        mask_(layer, weight != 0)
