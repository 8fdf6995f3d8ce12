"""Activations on evenly spaced levels: fixed point, int8, or affine uint8 with a zero point.

Codes are round(x / step) + zero, clipped; gradients pass within the range and stop beyond it.
Affine: Jacob et al., arXiv:1712.05877, Sec. 2.1 and 3.
"""

from collections.abc import Sequence
from math import ceil, ldexp, log2
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from compressors.activations._calibrate import observe
from compressors.activations._quantiser import ActivationQuantiser, quantise_input_
from compressors.activations._ranges import Range, Rule, ends
from compressors.fixed.calibration import Observation
from compressors.fixed.grid import sample
from compressors.weights._form import straight_through
from hwsim.config import Config
from hwsim.errors import InputError

SHRINKS = [1 - place / 50 for place in range(50)]  # of the range, tried for least squared error
SAMPLE = 1 << 16  # numbers of which the squared error is taken
DEFAULT_PERCENTILE = 99.99


class Settings(Config):
    """Levels and the rule that finds their range; unsigned where nothing negative was seen.

    `affine` has a zero point, so that the range need not begin at zero or be symmetric; `signed`
    keeps a sign even where nothing is negative; `stochastic` rounds at random while training.
    """

    bits: Annotated[int, Field(ge=1, le=16)] = 8
    rule: Rule = "max"
    percentile: Annotated[float, Field(gt=0, le=100)] = DEFAULT_PERCENTILE
    affine: bool = False
    power_of_two: bool = False
    signed: bool = False
    stochastic: bool = False


class Uniform(ActivationQuantiser):
    """Buffers: `step`, and the codes `low`, `high` and `zero`; float32 scalars."""

    settings: Settings
    step: Tensor
    low: Tensor
    high: Tensor
    zero: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        for name, value in {"step": 1.0, "low": 0, "high": 2**settings.bits - 1, "zero": 0}.items():
            self.register_buffer(name, torch.tensor(float(value)))

    @property
    def bits(self) -> int:
        return self.settings.bits

    def forward(self, ifmap: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return self._codes(ifmap).sub_(self.zero).mul_(self.step)
        inside = ifmap.clamp(
            (self.low - self.zero) * self.step, (self.high - self.zero) * self.step
        )
        return straight_through((self._codes(ifmap) - self.zero) * self.step, inside)

    def codes(self, ifmap: Tensor) -> Tensor:
        """The codes, int64, same shape."""
        return self._codes(ifmap).long()

    def _codes(self, ifmap: Tensor) -> Tensor:
        numbers = ifmap.detach() / self.step
        if self.settings.stochastic and self.training:
            rounded = torch.floor(numbers + torch.rand_like(numbers))
        else:
            rounded = numbers.round_()
        return rounded.add_(self.zero).clamp_(self.low, self.high)

    def cover_(self, least: float, largest: float) -> None:
        """Let the levels reach from one number to the other, and hold zero exactly.

        Raises InputError where a single bit would have to hold a sign too.
        """
        least, largest, levels = min(least, 0.0), max(largest, 0.0), 2**self.bits - 1
        signed = not self.settings.affine and (least < 0 or self.settings.signed)
        if signed and self.bits == 1:
            raise InputError("activations: bits = 1: numbers of either sign need two bits or more")
        high = levels // 2 if signed else levels
        reach = largest - least if self.settings.affine else max(-least, largest)
        step = reach / high or 1.0
        if self.settings.power_of_two:
            step = ldexp(1.0, ceil(log2(step)))
        self.step.fill_(step)
        self.high.fill_(high)
        self.low.fill_(-high - 1 if signed else 0)
        self.zero.fill_(round(-least / step) if self.settings.affine else 0)


def calibrated(settings: Settings, seen: Observation) -> Uniform:
    """A quantiser for what calibration saw."""
    quantiser = Uniform(settings)
    found = ends(seen, settings.rule, percentile=settings.percentile, bits=settings.bits)
    if settings.rule == "mse":
        found = _least_error(quantiser, found, sample(seen.values, at_most=SAMPLE, seed=0))
    quantiser.cover_(*found)
    return quantiser


def _least_error(quantiser: Uniform, all_seen: Range, values: Tensor) -> Range:
    def error(shrink: float) -> float:
        quantiser.cover_(all_seen[0] * shrink, all_seen[1] * shrink)
        return float((quantiser(values) - values).square().mean(dtype=torch.float64))

    best = min(SHRINKS, key=error)
    return all_seen[0] * best, all_seen[1] * best


def quantise_inputs_(
    model: nn.Module, layers: Sequence[str], settings: Settings, images: Tensor, *, method: str
) -> None:
    """Give each of the layers a quantiser for its ifmap, calibrated in one pass over the images."""
    for path, seen in observe(model, layers, images, method=method).items():
        quantise_input_(model.get_submodule(path), calibrated(settings, seen))


QUANTISER = Uniform
