"""Uniform n-bit fixed point of weights and activations, after training.

With steps that are powers of two, numbers are <IL, FL> fixed point and rescaling is a shift.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

from compressors._data import Data, Needs
from compressors._layers import WEIGHTED, weight_of
from compressors.activations._ranges import Rule
from compressors.activations.uniform import DEFAULT_PERCENTILE, Settings, quantise_inputs_
from compressors.projectors.uniform import Uniform
from compressors.weights._form import set_form_
from compressors.weights.rounded import Rounded
from hwsim.errors import InputError

NEEDS, TAKES = Needs.NOTHING, WEIGHTED


class Config(Uniform):
    """Weights of `bits` bits; ifmaps of `activation_bits`, for which it needs images, or float."""

    activation_bits: Annotated[int, Field(ge=2, le=16)] | None = None
    activation_rule: Rule = "max"
    activation_percentile: Annotated[float, Field(gt=0, le=100)] = DEFAULT_PERCENTILE

    @property
    def activations(self) -> Settings | None:
        """How ifmaps are rounded, if at all."""
        if self.activation_bits is None:
            return None
        return Settings(
            bits=self.activation_bits,
            rule=self.activation_rule,
            percentile=self.activation_percentile,
            power_of_two=self.power_of_two,
        )


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The layers in fixed point. Raises InputError where ifmaps are to be, but data lacks."""
    if config.activations:
        if data is None:
            raise InputError("uniform_fixed_point: activation_bits: needs images: give it data")
        quantise_inputs_(
            model, layers, config.activations, data.images, method="uniform_fixed_point"
        )
    for path in layers:
        layer = model.get_submodule(path)
        set_form_(layer, Rounded(config.project(weight_of(layer).detach())))
    return model
