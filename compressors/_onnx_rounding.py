"""One operator that rounds activations, and what it is in ONNX: quantise, clip, dequantise."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compressors.activations._quantiser import ActivationQuantiser
from compressors.activations.uniform import Settings, Uniform
from compressors.fixed.grid import Quantiser

WIDTHS = ((8, np.int8, np.uint8), (16, np.int16, np.uint16))
CLIPPED_AS_INTEGERS = 8  # bits: wider integers have no operator that clips them


@torch.library.custom_op("hwsim::rounded", mutates_args=())
def rounded(values: Tensor, step: float, zero: int, low: int, high: int) -> Tensor:
    """The numbers (code - zero) step that are nearest, half to even, of codes from low to high."""
    codes = torch.round(values / step).add_(zero).clamp_(low, high)
    return codes.sub_(zero).mul_(step)


@rounded.register_fake
def _(values: Tensor, step: float, zero: int, low: int, high: int) -> Tensor:
    return torch.empty_like(values)


def container(low: int, high: int) -> type[np.integer]:
    """The integers that hold all codes."""
    for bits, signed, unsigned in WIDTHS:
        if low < 0 and -(1 << (bits - 1)) <= low and high < 1 << (bits - 1):
            return signed
        if low >= 0 and high < 1 << bits:
            return unsigned
    raise ValueError(f"codes from {low} to {high}: wider than 16 bits")


def translated(values: Any, step: float, zero: int, low: int, high: int) -> Any:
    """`rounded` in ONNX. Integers of 8 bits are clipped as such; of wider ones the numbers are."""
    from onnx import numpy_helper
    from onnxscript import opset20, opset21

    kind = container(low, high)
    op: Any = opset20 if np.iinfo(kind).bits == CLIPPED_AS_INTEGERS else opset21

    def held(number: NDArray[np.generic] | np.generic) -> Any:
        return op.Constant(value=numpy_helper.from_array(np.asarray(number)))

    whole = (low, high) == (np.iinfo(kind).min, np.iinfo(kind).max)
    narrow = np.iinfo(kind).bits == CLIPPED_AS_INTEGERS
    if not whole and not narrow:
        ends = (held(np.float32((end - zero) * step)) for end in (low, high))
        values = op.Clip(values, *ends)
    scale, point = held(np.float32(step)), held(kind(zero))
    codes = op.QuantizeLinear(values, scale, point)
    if not whole and narrow:
        codes = op.Clip(codes, held(kind(low)), held(kind(high)))
    return op.DequantizeLinear(codes, scale, point)


class Rounds(nn.Module):
    """In place of a fixed-point quantiser: what it does, as the one operator."""

    def __init__(self, quantiser: Quantiser) -> None:
        super().__init__()
        self.step, self.low, self.high = float(quantiser.step), quantiser.low, quantiser.high

    def forward(self, values: Tensor) -> Tensor:
        found: Tensor = torch.ops.hwsim.rounded(values, self.step, 0, self.low, self.high)
        return found


class RoundsInput(ActivationQuantiser):
    """In place of a uniform quantiser of a layer's ifmap."""

    def __init__(self, quantiser: Uniform) -> None:
        super().__init__(Settings(bits=quantiser.bits))
        self.width, self.step = quantiser.bits, float(quantiser.step)
        self.zero, self.low, self.high = (
            int(code) for code in (quantiser.zero, quantiser.low, quantiser.high)
        )

    @property
    def bits(self) -> int:
        return self.width

    def forward(self, ifmap: Tensor) -> Tensor:
        found: Tensor = torch.ops.hwsim.rounded(ifmap, self.step, self.zero, self.low, self.high)
        return found
