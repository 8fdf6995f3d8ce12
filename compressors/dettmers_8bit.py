"""Eight-bit approximations for parallelism: what processors exchange while training is 8 bits wide.

Dettmers, "8-Bit Approximations for Parallelism in Deep Learning", ICLR 2016, arXiv:1511.04561. The
network that comes out is as wide as it was; what shrinks is the traffic between processors.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, Hook, fit
from compressors._layers import WEIGHTED
from compressors.gradients._backward import hooked, rounded_gradient
from compressors.gradients.eight_bits import EightBits, Kind
from compressors.weights._form import latent_of, straight_through

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """Data parallelism exchanges the weights' gradients; model parallelism ofmaps and theirs."""

    kind: Kind = "dynamic_tree"
    parallelism: Literal["data", "model"] = "data"
    fit: Fit = Fit(epochs=1.0, learning_rate=0.01)

    @property
    def words(self) -> EightBits:
        """The data type."""
        return EightBits(kind=self.kind)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network, trained with the layers' traffic in 8 bits."""
    assert data is not None
    assert data.labels is not None
    parts = [model.get_submodule(path) for path in layers]
    if config.parallelism == "data":
        exchange = exchanging_gradients(parts, config.words)
        fit(model, data.images, data.labels, config.fit, before_step=exchange)
        return model
    with exchanging_ofmaps(parts, config.words):
        fit(model, data.images, data.labels, config.fit)
    return model


def exchanging_gradients(layers: Sequence[nn.Module], words: EightBits) -> Hook:
    """Before a step, what arrives of the gradients of the layers' weights."""

    def exchange(_: int) -> None:
        with torch.no_grad():
            for gradient in (latent_of(layer).grad for layer in layers):
                if gradient is not None:
                    gradient.copy_(words(gradient))

    return exchange


@contextmanager
def exchanging_ofmaps(layers: Sequence[nn.Module], words: EightBits) -> Iterator[None]:
    """For a while, what arrives of the layers' ofmaps and of their gradients."""

    def hook(_: nn.Module, __: tuple[Any, ...], ofmap: Tensor) -> Tensor:
        return rounded_gradient(straight_through(words(ofmap.detach()), ofmap), words)

    with hooked(layers, hook):
        yield
