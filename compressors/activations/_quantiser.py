"""What every quantiser of activations offers, and how a layer gets one."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from hwsim.config import Config

CHILD = "input_quantiser"


class ActivationQuantiser(nn.Module, ABC):
    """Rounds a layer's ifmap; gradients pass by a rule of its own.

    `settings` are frozen and JSON-able and make the module again; what calibration finds lies in
    buffers. `binary` ones yield signs, times a scale. The file of each kind names it `QUANTISER`.
    """

    binary: ClassVar[bool] = False

    def __init__(self, settings: Config) -> None:
        super().__init__()
        self.settings = settings

    @property
    @abstractmethod
    def bits(self) -> int:
        """Bits of an activation as a machine stores it."""

    @abstractmethod
    def forward(self, ifmap: Tensor) -> Tensor:
        """The rounded ifmap, same shape."""


def quantise_input_(layer: nn.Module, quantiser: ActivationQuantiser) -> None:
    """Let a layer see its ifmap through a quantiser, in place of the one it had."""
    fresh = not hasattr(layer, CHILD)
    layer.add_module(CHILD, quantiser)
    if fresh:
        layer.register_forward_pre_hook(_quantised)


def input_quantiser(layer: nn.Module) -> ActivationQuantiser | None:
    """The quantiser of a layer's ifmap, if there is one."""
    found = getattr(layer, CHILD, None)
    return found if isinstance(found, ActivationQuantiser) else None


def _quantised(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    quantiser = input_quantiser(layer)
    return inputs if quantiser is None else (quantiser(inputs[0]), *inputs[1:])
