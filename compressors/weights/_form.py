"""What a parametrization of weights offers, and how layers get and lose one.

A layer's weight is its base form's value of a latent, which is what trains, seen through wrappers:
masks, and ways of storing. `code_of` says what the weight is as a code, at any time.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from compressors.codes._code import Code
from compressors.codes.dense import Dense


class Form(nn.Module, ABC):
    """Weights as a differentiable function of a latent, which `code` represents exactly.

    `forward(latent)` equals `code(latent).decode()`.
    """

    @abstractmethod
    def forward(self, latent: Tensor) -> Tensor:
        """The weights."""

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The latent to start from."""
        return weight

    @abstractmethod
    def code(self, latent: Tensor) -> Code:
        """The weights as a code."""

    def weights_per_number(self, latent: Tensor) -> float:
        """How many weights add to the gradient of one number of the latent, on average."""
        return 1.0


class Wrapper(nn.Module, ABC):
    """A change of weights, or of how they are stored, on top of any form."""

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """The weights after the change."""

    @abstractmethod
    def wrap(self, code: Code) -> Code:
        """The code after the change."""


def straight_through(value: Tensor, latent: Tensor) -> Tensor:
    """`value`, exactly, whose gradient goes to `latent` as it is."""
    return value.detach() + (latent - latent.detach())


def forms(layer: nn.Module, tensor: str = "weight") -> tuple[nn.Module, ...]:
    """The parametrizations of a layer's tensor, from the latent outwards."""
    if not parametrize.is_parametrized(layer, tensor):
        return ()
    found = layer.get_submodule(f"parametrizations.{tensor}")
    assert isinstance(found, parametrize.ParametrizationList)
    return tuple(found)


def latent_of(layer: nn.Module, tensor: str = "weight") -> Tensor:
    """What trains: the latent, or the tensor itself where it has no form."""
    name = f"parametrizations.{tensor}.original" if forms(layer, tensor) else tensor
    return layer.get_parameter(name)


def code_of(layer: nn.Module, tensor: str = "weight") -> Code:
    """A layer's tensor as a code; `code_of(layer).decode()` is its value."""
    latent, code = latent_of(layer, tensor).detach(), None
    for form in forms(layer, tensor):
        if isinstance(form, Form):
            code = form.code(latent)
        elif isinstance(form, Wrapper):
            code = form.wrap(Dense(latent) if code is None else code)
    return Dense(latent) if code is None else code


def set_form_(layer: nn.Module, form: Form, tensor: str = "weight") -> None:
    """Give a tensor a form in place of the one it has; wrappers stay around it."""
    wrappers = [found for found in forms(layer, tensor) if isinstance(found, Wrapper)]
    strip_(layer, tensor)
    for one in (form, *wrappers):
        _register(layer, one, tensor)


def shares(model: nn.Module) -> dict[Tensor, float]:
    """The latents of which a number stands for several weights, and for how many."""
    found = {}
    for _, layer, tensor in parametrized(model):
        latent = latent_of(layer, tensor)
        for form in forms(layer, tensor):
            if isinstance(form, Form) and form.weights_per_number(latent) > 1:
                found[latent] = form.weights_per_number(latent)
    return found


def add_wrapper_(layer: nn.Module, wrapper: Wrapper, tensor: str = "weight") -> None:
    """Put a wrapper around what a tensor is."""
    _register(layer, wrapper, tensor)


def _register(layer: nn.Module, form: nn.Module, tensor: str) -> None:
    fresh = not parametrize.is_parametrized(layer)
    parametrize.register_parametrization(layer, tensor, form)
    if isinstance(layer, nn.RNNBase) and fresh:
        layer.register_forward_pre_hook(_gather)
        layer.register_forward_hook(_let_go, always_call=True)


def _gather(layer: nn.Module, inputs: object) -> None:
    """Recurrent layers read a list of their own, not their tensors."""
    assert isinstance(layer, nn.RNNBase)
    layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]


def _let_go(layer: nn.Module, inputs: object, outputs: object) -> None:
    """What a forward pass computed could not be copied with the layer."""
    assert isinstance(layer, nn.RNNBase)
    layer._flat_weights = [latent_of(layer, name) for name in layer._flat_weights_names]


def strip_(layer: nn.Module, tensor: str = "weight") -> None:
    """Make a tensor a plain parameter that has the value it had."""
    if forms(layer, tensor):
        weight = getattr(layer, tensor).detach().clone()
        # Copies share the class that holds the tensor as a property, which torch would take away.
        own = type(layer)
        layer.__class__ = type(own.__name__, own.__bases__, dict(own.__dict__))
        parametrize.remove_parametrizations(layer, tensor, leave_parametrized=False)
        setattr(layer, tensor, nn.Parameter(weight))


def parametrized(model: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """Every tensor with a form: the layer's path, the layer, the tensor's name."""
    for path, layer in model.named_modules():
        if parametrize.is_parametrized(layer):
            for tensor in layer.get_submodule("parametrizations")._modules:
                yield path, layer, tensor


def frozen(model: nn.Module) -> nn.Module:
    """A copy whose weights are plain parameters of the values they have: quicker to run."""
    return plain(copy.deepcopy(model))


def plain(model: nn.Module) -> nn.Module:
    """The model itself, its weights made plain parameters of the values they have."""
    with torch.no_grad():
        for _, layer, tensor in list(parametrized(model)):
            strip_(layer, tensor)
    return model
