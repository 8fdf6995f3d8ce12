"""What the tests of the PyTorch frontend share."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hwsim.frontends.torch import network_from_torch
from hwsim.workload import Layer, Network

Forward = Callable[..., Tensor]


class Functional(nn.Module):
    """A module that is one function of its inputs."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.function = forward

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def read(module: nn.Module | Forward, *sizes: tuple[int, ...]) -> Network:
    """The network of a module or function on inputs of these sizes."""
    net = module if isinstance(module, nn.Module) else Functional(module)
    return network_from_torch(net, tuple(torch.ones(size) for size in sizes), name="sample")


def only_layer(module: nn.Module | Forward, *sizes: tuple[int, ...]) -> Layer:
    """The one layer of a module or function."""
    (layer,) = read(module, *sizes)
    return layer


def flop_counter_macs(module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Multiply-accumulates by PyTorch's own counter: two operations each, no fused kernels."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        module(*inputs)
    return int(counter.get_total_flops()) // 2
