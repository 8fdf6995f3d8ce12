"""What integer hardware computes for a fixed-point network: the naive reference, in int64 alone.

Slow and plain on purpose: it shares no arithmetic with the float carriers it checks. A value is an
exact fraction until a quantiser rounds it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from compressors.fixed.calibration import parts
from compressors.fixed.grid import Quantiser
from compressors.fixed.layers import FixedPointConv, FixedPointLayer
from compressors.fixed.operators import ADDITIONS, JOINS, KEEPS, PRODUCTS
from hwsim.errors import InputError


@dataclass(frozen=True)
class Exact:
    """The numbers numerators * 2^-fl / divisors; both tensors are int64 and broadcast."""

    numerators: Tensor
    fl: int
    divisors: Tensor

    def at(self, fl: int) -> Tensor:
        """Numerators at a finer fractional length."""
        return self.numerators << (fl - self.fl)


def integer_forward(model: fx.GraphModule, image_codes: Tensor) -> dict[str, Tensor]:
    """The codes of every activation, by the module path of the quantiser that rounds it.

    `image_codes` are int64 codes of the images on the grid of the input's quantiser. Raises
    InputError for an operator that no integers define, such as a sigmoid.
    """
    reference = IntegerReference(model)
    reference.run(image_codes)
    return reference.codes


class IntegerReference(fx.Interpreter):
    """Interprets a fixed-point graph on exact fractions, and keeps what each quantiser gives."""

    def __init__(self, model: fx.GraphModule) -> None:
        super().__init__(model)
        self.codes: dict[str, Tensor] = {}

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Any:
        codes = super().placeholder(target, args, kwargs)
        first = next(m for m in self.module.modules() if isinstance(m, Quantiser))
        return on_grid(codes, first.fl)

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        module, (operand,) = self.fetch_attr(str(target)), args
        if isinstance(module, Quantiser):
            self.codes[str(target)] = codes = requantised(operand, module)
            return on_grid(codes, module.fl)
        if isinstance(module, FixedPointLayer):
            return accumulated(operand, module)
        if isinstance(module, nn.ReLU | nn.Hardtanh | nn.AvgPool2d | nn.AdaptiveAvgPool2d):
            return by_module(operand, module)
        return selected(type(module), module, args, kwargs)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        if target in MODULE_OF:
            return by_module(args[0], MODULE_OF[target](*args[1:], **kwargs))
        if target in ARITHMETIC:
            return ARITHMETIC[target](*args, **kwargs)
        return selected(target, target, args, kwargs)

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        if target in ("double", "contiguous"):
            return args[0]
        if target in MODULE_OF or target in ARITHMETIC:
            return self.call_function(target, args, kwargs)
        return selected(target, getattr(torch.Tensor, str(target)), args, kwargs)


def on_grid(codes: Tensor, fl: int) -> Exact:
    """Codes as the numbers they stand for."""
    return Exact(codes, fl, torch.ones((), dtype=torch.int64))


def requantised(value: Exact, quantiser: Quantiser) -> Tensor:
    """The nearest codes, half to even, saturated."""
    shift = quantiser.fl - value.fl
    numerators = value.numerators << max(shift, 0)
    divisors = value.divisors << max(-shift, 0)
    floor = torch.div(numerators, divisors, rounding_mode="floor")
    twice_rest = 2 * (numerators - floor * divisors)
    up = (twice_rest > divisors) | ((twice_rest == divisors) & (floor % 2 == 1))
    return (floor + up.to(torch.int64)).clamp(quantiser.low, quantiser.high)


def accumulated(ifmap: Exact, layer: FixedPointLayer) -> Exact:
    """Sums of products of codes, plus the bias."""
    weight = layer.weight_codes.to(torch.int64)
    if isinstance(layer, FixedPointConv):
        sums = convolved(ifmap.numerators, weight, layer)
    else:
        sums = (ifmap.numerators.unsqueeze(-2) * weight).sum(-1) + layer.bias_codes
    return on_grid(sums, ifmap.fl + layer.weight_fl)


def convolved(ifmap: Tensor, weight: Tensor, layer: FixedPointConv) -> Tensor:
    """A 2-D convolution, one filter tap after the other: N x GC x H x W -> N x GK x P x Q."""
    if weight.ndim != 4 or isinstance(layer.padding, str):
        raise InputError(f"layer {layer.name!r}: has no integer reference")
    (stride_h, stride_w), (dilation_h, dilation_w) = layer.stride, layer.dilation
    pad_h, pad_w = layer.padding
    padded = functional.pad(ifmap, (pad_w, pad_w, pad_h, pad_h))
    K, C, R, S = weight.shape
    grouped = padded.reshape(len(ifmap), layer.groups, C, *padded.shape[2:])
    P = (grouped.shape[3] - (R - 1) * dilation_h - 1) // stride_h + 1
    Q = (grouped.shape[4] - (S - 1) * dilation_w - 1) // stride_w + 1
    filters = weight.reshape(layer.groups, -1, C, R, S)
    sums = torch.zeros(len(ifmap), layer.groups, K // layer.groups, P, Q, dtype=torch.int64)
    for r, s in product(range(R), range(S)):
        row, column = r * dilation_h, s * dilation_w
        rows = slice(row, row + (P - 1) * stride_h + 1, stride_h)
        columns = slice(column, column + (Q - 1) * stride_w + 1, stride_w)
        tap = filters[..., r, s]
        for k in range(tap.shape[1]):
            products = grouped[..., rows, columns] * tap[:, k, :, None, None]
            sums[:, :, k] += products.sum(2)
    return sums.flatten(1, 2) + layer.bias_codes[:, None, None]


def by_module(operand: Exact, module: nn.Module) -> Exact:
    """Activation functions and average pools."""
    match module:
        case nn.ReLU():
            return replace(operand, numerators=operand.numerators.clamp(min=0))
        case nn.Hardtanh():
            return clipped(operand, low=int(module.min_val), high=int(module.max_val))
        case nn.AvgPool2d():
            return averaged_windows(operand, module)
        case nn.AdaptiveAvgPool2d():
            return averaged_bins(operand, module.output_size)
    raise InputError(f"operator {type(module).__name__}: has no integer reference")


def clipped(value: Exact, *, low: int, high: int) -> Exact:
    """A value held between two integers."""
    fl = max(value.fl, 0)
    bounds = ((bound << fl) * value.divisors for bound in (low, high))
    return Exact(value.at(fl).clamp(*bounds), fl, value.divisors)


def averaged_windows(value: Exact, pool: nn.AvgPool2d) -> Exact:
    """Sums over windows, divided by their sizes."""
    if pool.ceil_mode or pool.divisor_override:
        raise InputError("operator AvgPool2d: no integer reference in ceil mode or with a divisor")
    (kernel_h, kernel_w), (stride_h, stride_w) = pair(pool.kernel_size), pair(pool.stride)
    pad_h, pad_w = pair(pool.padding)

    def sums(values: Tensor, inside: int) -> Tensor:
        padded = functional.pad(values, (pad_w, pad_w, pad_h, pad_h), value=inside)
        windows = padded.unfold(-2, kernel_h, stride_h).unfold(-2, kernel_w, stride_w)
        return windows.sum((-1, -2))

    ones = torch.ones_like(value.numerators[:1, :1])
    sizes = sums(ones, inside=int(pool.count_include_pad))
    return Exact(sums(value.numerators, inside=0), value.fl, value.divisors * sizes)


def averaged_bins(value: Exact, bins: Any) -> Exact:
    """Sums over the bins of an adaptive pool, divided by their sizes."""
    shape = value.numerators.shape
    rows, columns = (
        list(bin_slices(size, count or size))
        for size, count in zip(shape[-2:], pair(bins), strict=True)
    )

    def sums(values: Tensor) -> Tensor:
        flat = [values[..., row, column].sum((-1, -2)) for row in rows for column in columns]
        return torch.stack(flat, -1).reshape(*values.shape[:-2], len(rows), len(columns))

    return Exact(sums(value.numerators), value.fl, sums(torch.ones_like(value.numerators)))


def bin_slices(size: int, count: int) -> Iterator[slice]:
    """Which of `size` elements each of `count` adaptive bins covers."""
    for index in range(count):
        yield slice(index * size // count, -(-(index + 1) * size // count))


def pair(setting: Any) -> tuple[Any, Any]:
    """A setting for rows and columns."""
    return (setting, setting) if isinstance(setting, int) else tuple(setting)


def mean(value: Exact, dim: Any, keepdim: bool = False) -> Exact:
    """The mean over axes."""
    sums = value.numerators.sum(dim, keepdim)
    count = value.numerators.numel() // sums.numel()
    return Exact(sums, value.fl, value.divisors * count)


def added(left: Exact, right: Exact) -> Exact:
    """The sum of two values on grids."""
    fl = max(left.fl, right.fl)
    return on_grid(left.at(fl) + right.at(fl), fl)


def multiplied(left: Exact, right: Exact) -> Exact:
    """The product of two values on grids."""
    return on_grid(left.numerators * right.numerators, left.fl + right.fl)


def joined(values: list[Exact], dim: int = 0) -> Exact:
    """Values on grids side by side, at the finest of their grids."""
    fl = max(value.fl for value in values)
    return on_grid(torch.cat([value.at(fl) for value in values], dim), fl)


def selected(name: Any, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """An operator that only moves or selects codes, or that computes with sizes."""
    values = [arg for arg in args if isinstance(arg, Exact)]
    plain = [arg.numerators if isinstance(arg, Exact) else arg for arg in args]
    result = call(*plain, **kwargs)
    if not values or not any(isinstance(part, Tensor) for part in parts(result)):
        return result
    if name not in KEEPS:
        raise InputError(f"operator {name}: has no integer reference")
    if isinstance(result, Tensor):
        return on_grid(result, values[0].fl)
    return [on_grid(part, values[0].fl) for part in result]


MODULE_OF: dict[Any, type[nn.Module]] = {
    **dict.fromkeys((functional.relu, torch.relu, "relu"), nn.ReLU),
    functional.relu6: nn.ReLU6,
    functional.avg_pool2d: nn.AvgPool2d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
}
ARITHMETIC: dict[Any, Callable[..., Exact]] = {
    **dict.fromkeys(ADDITIONS, added),
    **dict.fromkeys(PRODUCTS, multiplied),
    **dict.fromkeys(JOINS, joined),
    **dict.fromkeys((torch.mean, "mean"), mean),
}
