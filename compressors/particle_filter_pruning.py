"""Structured pruning by a particle filter: masks that make few errors are kept and varied.

Anwar, Hwang and Sung, "Structured Pruning of Deep Convolutional Neural Networks", ACM JETC 13(3),
2017, arXiv:1512.08571, Sec. 4.
"""

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit
from compressors._layers import CONVOLUTIONS
from compressors.pruning.allocation import Groups, Sparsity, kept
from compressors.pruning.granularity import Granularity, Unit
from compressors.pruning.judge import held_out, masked, misclassified
from compressors.pruning.particles import Mask, search
from compressors.pruning.repair import Retrain
from compressors.pruning.targets import Target, targets

NEEDS, TAKES = Needs.LABELS, CONVOLUTIONS


class Config(hwsim.config.Config):
    """`sparsity` of each layer's groups go, by a search of so many particles and generations.

    A particle's weight falls with its errors over `temperature`, which are judged on at most
    `images` that are held out of the training by `fit` that follows; `mutation` of its removed
    groups change places.
    """

    sparsity: Sparsity = 0.4
    unit: Unit = "kernel"
    particles: int = Field(default=20, ge=2)
    generations: int = Field(default=10, ge=0)
    temperature: float = Field(default=0.05, gt=0, allow_inf_nan=False)
    mutation: float = Field(default=0.1, ge=0, le=1)
    images: int = Field(default=1000, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**32)
    fit: Fit = Fit()


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with the mask of least errors, retrained."""
    assert data is not None
    training, judging = held_out(data, config.images, seed=config.seed)
    unit, draw = Granularity(unit=config.unit), torch.Generator().manual_seed(config.seed)
    found = targets(model, layers)
    best, _ = search(
        [random_mask(found, config.sparsity, unit, draw) for _ in range(config.particles)],
        lambda mask: misclassified(masked(model, layers, mask, unit), judging),
        generations=config.generations,
        temperature=config.temperature,
        mutation=config.mutation,
        draw=draw,
    )
    pruned = masked(model, layers, best, unit)
    Retrain(fit=config.fit).mend_(pruned, training, None)
    return pruned


def random_mask(
    found: list[Target], sparsity: float, unit: Granularity, draw: torch.Generator
) -> Mask:
    """Groups that stay of each target, drawn at random; what is gone already goes first."""
    groups = []
    for target in found:
        own = unit.of(target.layer)
        sizes = own.sums(torch.ones_like(target.value))
        scores = torch.rand(sizes.shape, generator=draw, dtype=torch.float64)
        alive = own.sums(target.alive) > 0
        groups.append(Groups(scores, torch.ones_like(sizes), alive, deviation=1.0))
    return kept(groups, sparsity, "layer")
