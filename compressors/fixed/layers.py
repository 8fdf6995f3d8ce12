"""Convolution and linear layers whose weights are fixed-point codes, exact on float carriers.

Every product of codes is an integer and every step a power of two, so a sum of products is exact,
in whatever order, as long as no partial sum needs more bits than the carrier's significand: 24 in
float32, 53 in float64. Each layer bounds its accumulator from its own codes and picks its carrier.

What torch does with float32 convolutions decides whether that argument holds. oneDNN multiplies
and adds (torch asks it for the direct algorithm); NNPACK, which takes over where oneDNN is absent
or switched off, uses Winograd and Fourier transforms that round. Without oneDNN the carrier is
float64, for which torch has no transform. Layouts are channels-last, which is faster and keeps
32-bit Arm's depthwise Winograd out.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressors.codes._level_sets import Integers
from compressors.codes.levels import Levels
from compressors.fixed.grid import ceil_log2, code_range, quantised_codes
from hwsim.errors import InputError

FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53


Weighted: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Linear


@dataclass(frozen=True, kw_only=True)
class Formats:
    """The fixed-point formats of a layer's weights and of its ifmap."""

    weight_bits: int
    weight_fl: int
    ifmap_bits: int
    ifmap_fl: int

    def codes(self, layer: Weighted, *, name: str) -> tuple[Tensor, Tensor]:
        """Codes of the weights and, at the accumulator's step, of the bias. Raises InputError."""
        weight = layer.weight.detach().double()
        codes = quantised_codes(weight, fl=self.weight_fl, bits=self.weight_bits)
        bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().double()
        bias_codes = torch.round(bias * math.ldexp(1.0, self.weight_fl + self.ifmap_fl))
        if float(bias_codes.abs().max()) > FLOAT64_EXACT:
            raise InputError(f"layer {name!r}: its bias needs more than 53 bits")
        return codes.to(code_type(self.weight_bits)), bias_codes.to(torch.int64)


class FixedPointLayer(nn.Module):
    """A layer with weight codes at step 2^-fl and bias codes at the accumulator's step.

    Buffers: `weight_codes` in the weight's shape, `bias_codes` int64 of K x G, `weight_step` and
    `ifmap_step` float32 scalars. Raises InputError where no carrier holds the accumulator.
    """

    weight_codes: Tensor
    bias_codes: Tensor
    weight_step: Tensor
    ifmap_step: Tensor
    weight: Tensor
    bias: Tensor
    accumulator_bound: int

    def __init__(self, layer: Weighted, *, name: str, formats: Formats) -> None:
        super().__init__()
        self.name, self.formats = name, formats
        weight, bias = formats.codes(layer, name=name)
        self.register_buffer("weight_codes", weight)
        self.register_buffer("bias_codes", bias)
        self.register_buffer("weight_step", torch.tensor(math.ldexp(1.0, -formats.weight_fl)))
        self.register_buffer("ifmap_step", torch.tensor(math.ldexp(1.0, -formats.ifmap_fl)))
        self.register_buffer("weight", None, persistent=False)
        self.register_buffer("bias", None, persistent=False)
        self.refresh()
        hook = self.register_load_state_dict_post_hook
        hook(refresh_after_load)  # type: ignore[no-untyped-call]  # torch leaves it untyped

    @property
    def weight_fl(self) -> int:
        """Fractional length of the weights."""
        return -ceil_log2(float(self.weight_step))

    @property
    def ifmap_fl(self) -> int:
        """Fractional length the ifmap must have."""
        return -ceil_log2(float(self.ifmap_step))

    @property
    def psum_bits(self) -> int:
        """Two's complement bits that hold every partial sum of every possible ifmap."""
        return self.accumulator_bound.bit_length() + 1

    @property
    def weight_density(self) -> float:
        """Share of weight codes that are not zero."""
        return int(self.weight_codes.count_nonzero()) / self.weight_codes.numel()

    def code(self) -> Levels:
        """The weights as a code."""
        low, high = code_range(self.formats.weight_bits)
        levels, step = Integers(low=low, high=high), self.weight_step
        scales = step.reshape([1] * self.weight_codes.ndim)
        return Levels(self.weight_codes.long() - low, levels, scales)

    def hold_(self, code: Levels) -> None:
        """Take the weights that `code` made; whoever calls this loads the biases and refreshes."""
        if code.shape != self.weight_codes.shape or code.scales is None:
            raise InputError(f"layer {self.name!r}: its codes have shape {[*code.shape]}")
        self.weight_codes.copy_(code.indices + code_range(self.formats.weight_bits)[0])
        self.weight_step.copy_(code.scales.squeeze())

    def refresh(self) -> None:
        """Derive the bound, the carrier and the real-valued weights from the codes."""
        magnitudes = self.weight_codes.to(torch.int64).abs().flatten(1).sum(1)
        sums = magnitudes * -code_range(self.formats.ifmap_bits)[0] + self.bias_codes.abs()
        self.accumulator_bound = int(sums.max())
        carrier = self.carrier()
        self.weight = channels_last(self.weight_codes.to(carrier) * self.weight_step)
        self.bias = self.bias_codes.to(carrier) * self.weight_step * self.ifmap_step

    def carrier(self) -> torch.dtype:
        """The floating-point type whose sums are exact. Raises InputError where there is none."""
        if self.accumulator_bound > FLOAT64_EXACT:
            raise InputError(
                f"layer {self.name!r}: its accumulator needs {self.psum_bits} bits; at most 54"
            )
        narrow = self.accumulator_bound <= FLOAT32_EXACT and has_onednn()
        return torch.float32 if narrow else torch.float64

    def forward(self, ifmap: Tensor) -> Tensor:
        return self.sums_of_products(ifmap.to(self.weight.dtype))

    @abstractmethod
    def sums_of_products(self, ifmap: Tensor) -> Tensor:
        """The accumulator, ifmap already on the carrier."""

    def extra_repr(self) -> str:
        return (
            f"weight_bits={self.formats.weight_bits}, weight_fl={self.weight_fl}, "
            f"ifmap_fl={self.ifmap_fl}, psum_bits={self.psum_bits}"
        )


class FixedPointConv(FixedPointLayer):
    """A 1-D or 2-D convolution, zero-padded."""

    def __init__(self, layer: nn.Conv1d | nn.Conv2d, *, name: str, formats: Formats) -> None:
        super().__init__(layer, name=name, formats=formats)
        self.in_channels, self.out_channels = layer.in_channels, layer.out_channels
        self.stride, self.dilation, self.groups = layer.stride, layer.dilation, layer.groups
        self.padding = layer.padding
        self.reach = tuple(
            step * (taps - 1) + 1
            for step, taps in zip(layer.dilation, layer.kernel_size, strict=True)
        )

    def sums_of_products(self, ifmap: Tensor) -> Tensor:
        convolve = functional.conv2d if self.weight.ndim == 4 else functional.conv1d
        padding = self.padding
        # oneDNN up to 3.12 calls a kernel that it never made where all windows lie in padding
        # (its issue 5942), so it does not get to see padding in which a window has room.
        if not isinstance(padding, str) and padding[-1] >= self.reach[-1]:
            ifmap = functional.pad(ifmap, [edge for edge in padding[::-1] for _ in range(2)])
            padding = (0,) * len(padding)
        return convolve(
            ifmap, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )


class FixedPointLinear(FixedPointLayer):
    """A linear layer over the last axis."""

    def __init__(self, layer: nn.Linear, *, name: str, formats: Formats) -> None:
        super().__init__(layer, name=name, formats=formats)
        self.in_features, self.out_features = layer.in_features, layer.out_features

    def sums_of_products(self, ifmap: Tensor) -> Tensor:
        return functional.linear(ifmap, self.weight, self.bias)


def has_onednn() -> bool:
    """Whether torch convolves float32 through oneDNN here."""
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]  # torch


def code_type(bits: int) -> torch.dtype:
    """The smallest torch integer that holds the codes."""
    return torch.int8 if bits <= 8 else torch.int16


def channels_last(weight: Tensor) -> Tensor:
    """The same tensor, its channels innermost in memory where it is a 2-D filter."""
    return weight.contiguous(memory_format=torch.channels_last) if weight.ndim == 4 else weight


def refresh_after_load(layer: nn.Module, _: object) -> None:
    """Bring a layer's derived tensors up to date with codes just loaded."""
    assert isinstance(layer, FixedPointLayer)
    layer.refresh()
