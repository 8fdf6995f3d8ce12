"""Weights as the integers and steps that an ONNX file holds for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from compressors._layers import weighted_layers
from compressors.codes._blocks import spread
from compressors.codes._code import Code
from compressors.codes.levels import Levels
from compressors.fixed.layers import FixedPointLayer
from compressors.weights._form import code_of

WIDEST = 16


@dataclass(frozen=True, eq=False)
class Integers:
    """The tensor of that name is (codes - zero) steps; steps are one, or one for each filter.

    Codes are numbers of `bits` bits, without a sign where there is a zero.
    """

    name: str
    codes: NDArray[np.int64]
    steps: NDArray[np.float32]
    zero: int
    bits: int


def integers(model: nn.Module) -> Iterator[Integers]:
    """Every weight that is integers times steps, and the biases of fixed point; others are left."""
    if isinstance(model, fx.GraphModule):
        for path, part in model.named_modules():
            if isinstance(part, FixedPointLayer):
                yield from of_fixed(path, part)
        return
    for path, layer in weighted_layers(model).items():
        found = of_code(f"{path}.weight", code_of(layer))
        if found:
            yield found


def of_fixed(path: str, layer: FixedPointLayer) -> Iterator[Integers]:
    """Weights at their step, and the bias at that of the accumulator where 32 bits hold it."""
    step = layer.weight_step.numpy().reshape(())
    codes = layer.weight_codes.long().numpy()
    yield Integers(f"{path}.weight", codes, step, 0, layer.formats.weight_bits)
    bias, scale = layer.bias_codes.numpy(), step * layer.ifmap_step.numpy().reshape(())
    if np.abs(bias).max(initial=0) < 1 << 31:
        yield Integers(f"{path}.bias", bias, scale, 0, 32)


def of_code(name: str, code: Code) -> Integers | None:
    """What a code decodes to, exactly, as integers; None where 16 bits do not hold them."""
    levels = core(code)
    if levels is None:
        return None
    values, shape = levels.levels.values, tuple(code.shape)
    unit = float(values[values != 0].abs().min())
    scales = torch.ones([1] * len(shape)) if levels.scales is None else levels.scales
    if scales.numel() != 1 and tuple(scales.shape) != (shape[0], *[1] * (len(shape) - 1)):
        return None
    steps = (scales.double() * unit).float()
    decoded = code.decode()
    numbers = torch.round(decoded.double() / spread(steps.double(), shape))
    if not torch.equal((numbers * spread(steps.double(), shape)).float(), decoded):
        return None
    return held(name, numbers.long(), steps, word_bits=code.word_bits or 0)


def held(name: str, codes: Tensor, steps: Tensor, *, word_bits: int) -> Integers | None:
    """Codes as wide as the code's words, or as they need; None where they need too much."""
    low, high = int(codes.min()), int(codes.max())
    zero, bits = 0, max(high, -low - 1).bit_length() + 1
    if bits > max(8, word_bits) and (high - low).bit_length() <= max(8, word_bits):
        zero, bits = -low, (high - low).bit_length()
    if max(bits, word_bits) > WIDEST:
        return None
    flat = steps.flatten() if steps.numel() > 1 else steps.reshape(())
    return Integers(name, (codes + zero).numpy(), flat.numpy(), zero, max(bits, word_bits))


def core(code: Code) -> Levels | None:
    """The levels and scales inside what codes are wrapped in."""
    inner: Any = code
    while inner is not None and not isinstance(inner, Levels):
        inner = getattr(inner, "inner", None)
    return inner
