"""Batch normalisation by the range of a batch in place of its variance, while training.

Banner, Hubara, Hoffer and Soudry, "Scalable Methods for 8-bit Training of Neural Networks", NeurIPS
2018, Sec. 3: the variance squares numbers, which 8 bits do not hold.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import log, sqrt

import torch
from torch import Tensor, nn

from compressors._fit import BatchNorm


class RangeNorm(nn.BatchNorm2d):
    """(x - mean) / (C(n) range(x)), for n numbers a channel, N C or N C ...; see `share`.

    Its running variance is the square of the divisor, so that in evaluation it is an ordinary batch
    normalisation, and can become one.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of axes."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        axes = [axis for axis in range(input.ndim) if axis != 1]
        mean, spread = input.mean(axes, keepdim=True), spread_of(input)
        self.track(mean.flatten(), spread.flatten())
        shape = mean.shape
        # Channels that hardly vary are as good as dead, here and in evaluation.
        found = (input - mean) / (spread.square() + self.eps).sqrt()
        return (
            found * self.weight.reshape(shape) + self.bias.reshape(shape) if self.affine else found
        )

    def track(self, mean: Tensor, spread: Tensor) -> None:
        """Move the running statistics; without a momentum, all batches count alike."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        with torch.no_grad():
            self.num_batches_tracked += 1
            alike = 1 / float(self.num_batches_tracked)
            momentum = alike if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.detach(), momentum)
            self.running_var.lerp_(spread.detach().square(), momentum)


def spread_of(numbers: Tensor) -> Tensor:
    """C(n) range(x) of each channel, [1, C, 1, ...]."""
    axes = [axis for axis in range(numbers.ndim) if axis != 1]
    count = numbers.numel() // numbers.shape[1]
    return share(count) * (numbers.amax(axes, keepdim=True) - numbers.amin(axes, keepdim=True))


def share(count: int) -> float:
    """C(n): half of 1 / sqrt(2 ln n), for the range has two ends; about 0.87 of a Gaussian's
    deviation at n = 1000, which the gain makes up for.
    """
    return 0.5 / sqrt(2 * log(max(count, 2)))


@contextmanager
def range_norms(model: nn.Module) -> Iterator[None]:
    """For a while, the model's batch normalisations are by range."""
    norms = [part for part in model.modules() if isinstance(part, BatchNorm)]
    kinds = [type(norm) for norm in norms]
    for norm in norms:
        norm.__class__ = RangeNorm
    try:
        yield
    finally:
        for norm, kind in zip(norms, kinds, strict=True):
            norm.__class__ = kind
