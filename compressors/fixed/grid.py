"""Fixed-point grids: which fractional length a tensor gets, and rounding onto the grid.

A grid of `bits` and fractional length `fl` holds the numbers code * 2^-fl with code in
[-2^(bits-1), 2^(bits-1) - 1]; values beyond saturate. Gysel, "Ristretto: Hardware-Oriented
Approximation of Convolutional Neural Networks", arXiv:1605.06402, section 4.2.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Rule = Literal["max", "mse"]
Kind = Literal["weight", "activation"]

# Fractional lengths stay where products of two steps are normal float32 numbers.
FL_RANGE = (-40, 60)
MSE_CANDIDATES = 8


@dataclass(frozen=True)
class Grid:
    """The numbers code * 2^-`fl` with codes of `bits` bits."""

    bits: int
    fl: int


def code_range(bits: int) -> tuple[int, int]:
    """Least and greatest code of a signed two's complement number."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def ceil_log2(value: float) -> int:
    """The least n with 2^n >= value, exactly; `value` is positive."""
    mantissa, exponent = math.frexp(value)
    return exponent - 1 if mantissa == 0.5 else exponent


def fractional_length(values: Tensor, *, largest: float, bits: int, rule: Rule, kind: Kind) -> int:
    """The fractional length of the grid for a tensor of which `values` is a sample.

    "max" is Ristretto's integer length: ceil(log2 max|x|) for activations, one bit more for
    weights; so activations above half of the covering range saturate. "mse" is the length with
    the least mean squared error on `values`, the coarser of equals.
    """
    if largest == 0.0:
        return bits - 1
    covering = bits - 1 - ceil_log2(largest)
    if rule == "max":
        return clamp_length(covering + (kind == "activation"))
    candidates = sorted({clamp_length(covering + finer) for finer in range(MSE_CANDIDATES)})
    return min(candidates, key=lambda fl: squared_error(values, fl=fl, bits=bits))


def sample(values: Tensor, *, at_most: int, seed: int) -> Tensor:
    """The values, flat; where there are more than `at_most`, so many drawn at random."""
    flat = values.flatten()
    if len(flat) <= at_most:
        return flat
    generator = torch.Generator().manual_seed(seed)
    return flat[torch.randint(len(flat), (at_most,), generator=generator)]


def clamp_length(fl: int) -> int:
    """The nearest fractional length that float32 carriers can hold."""
    return min(max(fl, FL_RANGE[0]), FL_RANGE[1])


def squared_error(values: Tensor, *, fl: int, bits: int) -> float:
    """Mean squared quantisation error."""
    rounded = quantised_codes(values, fl=fl, bits=bits).mul_(math.ldexp(1.0, -fl))
    return float(rounded.sub_(values).square_().mean(dtype=torch.float64))


def quantised_codes(values: Tensor, *, fl: int, bits: int) -> Tensor:
    """The nearest codes, half to even, saturated; same shape and dtype as `values`."""
    return values.mul(math.ldexp(1.0, fl)).round_().clamp_(*code_range(bits))


class Quantiser(nn.Module):
    """Rounds a tensor onto a fixed-point grid; the result is float32, value = code * step.

    Rounds half to even, as onnxruntime, torch and IEEE 754 do. (Ristretto's own code rounds half
    away from zero, which biases ties upward in magnitude and matches no other runtime.)
    """

    step: Tensor
    steps_per_unit: Tensor

    def __init__(self, *, bits: int, fl: int) -> None:
        super().__init__()
        self.bits = bits
        self.low, self.high = code_range(bits)
        self.register_buffer("step", torch.tensor(math.ldexp(1.0, -fl)))
        self.register_buffer("steps_per_unit", torch.tensor(math.ldexp(1.0, fl)))

    @property
    def fl(self) -> int:
        """The fractional length: step = 2^-fl."""
        return -ceil_log2(float(self.step))

    def forward(self, values: Tensor) -> Tensor:
        codes = values.mul(self.steps_per_unit).round_().clamp_(self.low, self.high)
        return codes.mul_(self.step).to(torch.float32)

    def codes(self, values: Tensor) -> Tensor:
        """The codes of `values`, int64, same shape."""
        return self.forward(values).mul(self.steps_per_unit).to(torch.int64)

    def extra_repr(self) -> str:
        return f"bits={self.bits}, fl={self.fl}"
