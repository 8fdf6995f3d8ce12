"""Ristretto: the narrowest numbers that keep the accuracy, in three formats, then fine-tuning.

Gysel, Motamedi and Ghiasi, "Hardware-oriented Approximation of Convolutional Neural Networks",
arXiv:1604.03168; Gysel, arXiv:1605.06402. Biases join the wide accumulator and stay as they are.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._held_out import accuracy, split
from compressors._layers import WEIGHTED, weight_of
from compressors.activations import minifloat, uniform
from compressors.activations._calibrate import observe
from compressors.activations._quantiser import ActivationQuantiser, quantise_input_
from compressors.fixed.calibration import Observation
from compressors.fixed.grid import sample
from compressors.projectors._projector import Projector
from compressors.projectors.minifloat import Minifloat
from compressors.projectors.powers import Powers
from compressors.projectors.uniform import Uniform
from compressors.weights._form import set_form_
from compressors.weights.rounded import Rounded

NEEDS, TAKES = Needs.LABELS, WEIGHTED
Format = Literal["dynamic_fixed_point", "minifloat", "power_of_two"]
Width = Annotated[int, Field(ge=3, le=16)]
Widths = Mapping[str, int]  # bits of each group of numbers: "convolutions", "linear", "activations"
POWER_BITS = 4  # of weights that are powers of two, arXiv:1605.06402, Sec. 4.4


class Config(hwsim.config.Config):
    """Tries `widths`, widest first, on each group of numbers alone, and keeps the narrowest.

    Top-1 on the `held_out` share of the data may fall by `margin`; a width counts only where all
    wider ones do. Powers of two as weights have four bits, beside dynamic fixed point.
    `rounding` is that of the forward passes of `fit`; the paper's is stochastic.
    """

    format: Format = "dynamic_fixed_point"
    margin: Annotated[float, Field(ge=0, le=1)] = 0.01
    widths: Annotated[tuple[Width, ...], Field(min_length=1)] = (16, 8, 4)
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2
    rounding: Literal["stochastic", "nearest"] = "stochastic"
    fit: Fit = Fit(epochs=1.0, learning_rate=0.001)

    @field_validator("widths")
    @classmethod
    def _falling(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if list(widths) != sorted(set(widths), reverse=True):
            raise ValueError("widths must fall")
        return widths


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers and their ifmaps in the narrowest numbers, fine-tuned."""
    assert data is not None
    training, held_out = split(data, share=config.held_out, seed=config.fit.seed)
    seen = observe(model, layers, training.images, method="ristretto")
    widths = {
        group: narrowest(model, seen, config, group, held_out) for group in groups(model, layers)
    }
    quantise_(model, seen, config, widths)
    assert training.labels is not None
    fit(model, training.images, training.labels, config.fit)
    return model


def groups(model: nn.Module, layers: Sequence[str]) -> list[str]:
    """The groups of numbers that there are, each of one width."""
    return [*dict.fromkeys(group_of(model.get_submodule(path)) for path in layers), "activations"]


def group_of(layer: nn.Module) -> str:
    """The group of a layer's weights."""
    return "linear" if isinstance(layer, nn.Linear) else "convolutions"


def narrowest(
    model: nn.Module, seen: Mapping[str, Observation], config: Config, group: str, held_out: Data
) -> int:
    """The narrowest width for one group, the others in float; the widest where none will do."""
    if config.format == "power_of_two" and group != "activations":
        return POWER_BITS
    least, kept = accuracy(model, held_out) - config.margin, config.widths[0]
    for width in config.widths:
        tried = copy.deepcopy(model)
        quantise_(tried, seen, config, {group: width})
        if accuracy(tried, held_out) < least:
            break
        kept = width
    return kept


def quantise_(
    model: nn.Module, seen: Mapping[str, Observation], config: Config, widths: Widths
) -> None:
    """Give the layers seen numbers of these widths; a group without one stays as it is."""
    for path, observation in seen.items():
        layer = model.get_submodule(path)
        if group_of(layer) in widths:
            weight = weight_of(layer).detach()
            code = projector(config.format, weight, widths[group_of(layer)]).project(weight)
            set_form_(layer, Rounded(code, stochastic=config.rounding == "stochastic"))
        if "activations" in widths:
            quantise_input_(layer, quantiser(config.format, observation, widths["activations"]))


def projector(format: Format, weight: Tensor, bits: int) -> Uniform | Minifloat | Powers:
    """The set of numbers of a layer's weights."""
    match format:
        case "dynamic_fixed_point":
            return Uniform(bits=bits, power_of_two=True)
        case "minifloat":
            return best_minifloat(weight, bits)
        case "power_of_two":
            return Powers(bits=bits)


def quantiser(format: Format, seen: Observation, bits: int) -> ActivationQuantiser:
    """The quantiser of a layer's ifmap; an integer length of its own for each layer."""
    if format == "minifloat":
        values = sample(seen.values, at_most=uniform.SAMPLE, seed=0)
        return minifloat.Minifloat(best_minifloat(values, bits))
    return uniform.calibrated(uniform.Settings(bits=bits, power_of_two=True), seen)


def best_minifloat(values: Tensor, bits: int) -> Minifloat:
    """The split between exponent and mantissa of least squared error on the values."""

    def error(one: Projector) -> float:
        return float((one.project(values).decode() - values).square().mean())

    least, most = max(1, bits - 11), min(8, bits - 1)
    tried = [Minifloat(bits=bits, exponent_bits=e) for e in range(least, most + 1)]
    return min(tried, key=error)
