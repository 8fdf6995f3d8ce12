"""Activations that are -1 or 1, the gradient clipped: beside binary weights, exclusive nors.

Hubara et al., "Binarized Neural Networks", NIPS 2016, Sec. 1.3: the gradient passes where |x| <= 1.
What rectifiers give has no negative numbers, so a layer that follows one is preceded by a batch
normalisation, in the order of Rastegari et al., "XNOR-Net", ECCV 2016, Sec. 3.2; with the sign it
is one comparison with a threshold for each channel (`threshold`).
"""

from math import prod
from threading import get_ident
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from compressors.activations._quantiser import ActivationQuantiser
from compressors.gradients._backward import product
from compressors.weights._form import straight_through
from hwsim.config import Config


class Settings(Config):
    """`channels` to normalise beforehand, counted on axis 1 or on the last one; none if None.

    `scaled` multiplies each position of the ofmap by the mean magnitude of what it was made of, the
    paper's K.
    """

    channels: Annotated[int, Field(ge=1)] | None = None
    axis: Literal[1, -1] = 1
    scaled: bool = False


class Sign(ActivationQuantiser):
    """The sign; zero counts as positive."""

    settings: Settings
    binary = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.unscaled: dict[int, Tensor] = {}  # by thread, from before the layer to after it
        self.norm = nn.BatchNorm1d(settings.channels) if settings.channels else nn.Identity()

    @property
    def bits(self) -> int:
        return 1

    def forward(self, ifmap: Tensor) -> Tensor:
        centred = normalised(ifmap, self.norm, axis=self.settings.axis)
        if self.settings.scaled:
            self.unscaled[get_ident()] = centred
        return sign(centred)

    def rescaled(self, layer: nn.Module, ofmap: Tensor) -> Tensor:
        if not self.settings.scaled:
            return ofmap
        scales = mean_magnitudes(layer, self.unscaled.pop(get_ident()))
        if getattr(layer, "bias", None) is None:
            return ofmap * scales
        bias: Tensor = layer.get_parameter("bias")
        if self.settings.axis == 1:
            bias = bias.reshape(-1, *[1] * (ofmap.ndim - 2))
        return (ofmap - bias) * scales + bias

    def threshold(self) -> tuple[Tensor, Tensor]:
        """For each channel, the number t and the truth of `x >= t` being 1 (else `x <= t` is)."""
        assert isinstance(self.norm, nn.BatchNorm1d)
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, spread = norm.running_mean.double(), (norm.running_var.double() + norm.eps).sqrt()
        return mean - norm.bias.detach() * spread / norm.weight.detach(), norm.weight.detach() > 0


def normalised(ifmap: Tensor, norm: nn.Module, *, axis: int) -> Tensor:
    """The ifmap through a norm of N C or N C L, its channels on that axis."""
    if axis == 1 and ifmap.ndim > 2:
        by_channel: Tensor = norm(ifmap.flatten(2))
    else:
        by_channel = norm(ifmap.reshape(-1, ifmap.shape[-1]))
    return by_channel.reshape(ifmap.shape)


def sign(numbers: Tensor) -> Tensor:
    """-1 or 1, whose gradient is 1 where the magnitude is at most 1 and 0 elsewhere."""
    signs = torch.where(numbers >= 0, 1.0, -1.0)
    return straight_through(signs, numbers.clamp(-1, 1))


def mean_magnitudes(layer: nn.Module, ifmap: Tensor) -> Tensor:
    """The mean magnitude of what each position of the ofmap is made of; it broadcasts to the ofmap.

    The box-filtered mean over channels of Rastegari et al., Sec. 3.2, for each group of channels.
    """
    if isinstance(layer, nn.Linear):
        return ifmap.abs().mean(-1, keepdim=True)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    groups, taps = layer.groups, layer.kernel_size
    means = ifmap.abs().reshape(ifmap.shape[0], groups, -1, *ifmap.shape[2:]).mean(2)
    box = ifmap.new_full((groups, 1, *taps), 1 / prod(taps))
    scales = product(layer, means, box, None)
    return scales.repeat_interleave(layer.out_channels // groups, 1)


def sign_settings(layer: nn.Module, *, normalised: bool, scaled: bool = False) -> Settings:
    """The settings that fit a layer's ifmap."""
    linear = isinstance(layer, nn.Linear)
    channels = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
    assert isinstance(channels, int)
    return Settings(
        channels=channels if normalised else None, axis=-1 if linear else 1, scaled=scaled
    )


QUANTISER = Sign
