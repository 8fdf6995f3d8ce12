"""Shipped networks by name, as layers."""

from typing import TYPE_CHECKING

from hwsim import registry

if TYPE_CHECKING:
    from hwsim.workload import Network


def load_network(name: str, *, batch: int = 1) -> "Network":
    """The layers of a network for so many images; weights are not loaded.

    Raises UnknownNameError.
    """
    file = registry.module("network", name)

    from torch import zeros

    from hwsim.frontends.torch import network_from_torch

    inputs = zeros(batch, *file.INPUT_SHAPE, device="meta")
    return network_from_torch(file.build().to("meta"), (inputs,), name=name)
