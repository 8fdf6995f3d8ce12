"""What every quantiser of activations offers, and how a layer gets one."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from hwsim.config import Config

CHILD = "input_quantiser"


class ActivationQuantiser(nn.Module, ABC):
    """Rounds a layer's ifmap; gradients pass by a rule of its own.

    `settings` are frozen and JSON-able and make the module again; what calibration finds lies in
    buffers. What is `binary` is -1 or 1, times a scale: beside binary weights, products of it are
    exclusive nors. `terms` counts the numbers of which an activation is the sum. The file of each
    kind names it `QUANTISER`.
    """

    binary: bool = False

    def __init__(self, settings: Config) -> None:
        super().__init__()
        self.settings = settings

    @property
    @abstractmethod
    def bits(self) -> int:
        """Bits of an activation as a machine stores it."""

    @property
    def terms(self) -> int:
        """Numbers of which an activation is the sum; each takes a primitive of its own."""
        return 1

    @abstractmethod
    def forward(self, ifmap: Tensor) -> Tensor:
        """The rounded ifmap, same shape."""

    def rescaled(self, layer: nn.Module, ofmap: Tensor) -> Tensor:
        """What the layer's ofmap becomes, where rounding took off a scale of each position."""
        return ofmap


def quantise_input_(layer: nn.Module, quantiser: ActivationQuantiser) -> None:
    """Let a layer see its ifmap through a quantiser, in place of the one it had."""
    fresh = not hasattr(layer, CHILD)
    layer.add_module(CHILD, quantiser)
    if fresh:
        layer.register_forward_pre_hook(_quantised)
        layer.register_forward_hook(_rescaled)


def input_quantiser(layer: nn.Module) -> ActivationQuantiser | None:
    """The quantiser of a layer's ifmap, if there is one."""
    found = getattr(layer, CHILD, None)
    return found if isinstance(found, ActivationQuantiser) else None


def _quantised(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    quantiser = input_quantiser(layer)
    return inputs if quantiser is None else (quantiser(inputs[0]), *inputs[1:])


def _rescaled(layer: nn.Module, _: tuple[Any, ...], ofmap: Tensor) -> Tensor:
    quantiser = input_quantiser(layer)
    return ofmap if quantiser is None else quantiser.rescaled(layer, ofmap)
