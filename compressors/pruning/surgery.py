"""Masks that weights leave and enter while they train.

Guo, Yao and Chen, "Dynamic Network Surgery", NIPS 2016, arXiv:1608.04493, eqs. 3 and 4, Alg. 1:
gradients with respect to the masked weights update all weights, so that what was cut can grow and
be spliced again.
"""

from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from compressors.pruning.targets import Target
from compressors.weights.masked import Masked, masked_of, unmasked


class Surgery:
    """Operates on targets in `after_step` as long as it is open; afterwards masks stay as they are.

    The arguments are those of `compressors.dynamic_network_surgery`; surgery ends after `steps`.
    `spliced` counts the weights that were cut and came back.
    """

    def __init__(
        self,
        found: list[Target],
        *,
        crate: float,
        band: float,
        decay: float,
        steps: int,
        seed: int,
    ) -> None:
        self.found, self.band, self.decay, self.steps = found, band, decay, steps
        self.draw = torch.Generator().manual_seed(seed)
        self.allowed = [target.alive.clone() for target in found]
        self.thresholds = [_threshold(target, crate) for target in found]
        self.spliced = 0

    def __enter__(self) -> Self:
        for target in self.found:
            target.cut_(target.alive)
            _mask(target).revives = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for target in self.found:
            _mask(target).revives = False

    def after_step(self, step: int) -> None:
        """Operate, with a probability that falls as training goes on."""
        chance = 1 / (1 + self.decay * step)
        if step < self.steps and float(torch.rand((), generator=self.draw)) < chance:
            self.operate()

    def operate(self) -> None:
        """Cut what is below the lower threshold, splice what has reached the upper one."""
        for target, threshold, allowed in zip(
            self.found, self.thresholds, self.allowed, strict=True
        ):
            masked, size = _mask(target), unmasked(target.layer, target.tensor).abs()
            stays = masked.mask & (size >= (1 - self.band) * threshold)
            grown = allowed & (size >= (1 + self.band) * threshold)
            self.spliced += int((grown & ~masked.mask).sum())
            masked.mask = _or_largest(stays | grown, size, allowed)


def _threshold(target: Target, crate: float) -> float:
    """Between the two thresholds: max(0, mean + crate * std) of the magnitudes that are left."""
    sizes = target.value[target.alive].abs()
    return max(0.0, float(sizes.mean() + crate * sizes.std(correction=0)))


def _or_largest(mask: Tensor, size: Tensor, allowed: Tensor) -> Tensor:
    """A mask that lets at least one weight through."""
    if mask.any():
        return mask
    return allowed & (size == (size * allowed).max())


def _mask(target: Target) -> Masked:
    found = masked_of(target.layer, target.tensor)
    assert found is not None
    return found
