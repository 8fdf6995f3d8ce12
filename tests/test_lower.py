"""What the simulator sees of compressed networks, and what machines gain by it."""

import pytest
import torch
from torch import Tensor, nn

from compressors import Plan, Step, compress, lower, uniform
from compressors.weights.masked import mask_
from hwsim.frontends.torch import network_from_torch
from hwsim.hardware import load_machine
from hwsim.simulate import simulate
from hwsim.workload import Decoder, Network, Primitive


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(2, 8, (3, 2)), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    linear = nn.Linear(8 * 3 * 5, 6)
    nn.init.normal_(linear.weight)
    return nn.Sequential(*layers, linear).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(4, 2, 9, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network(model: nn.Module, images: Tensor) -> Network:
    return network_from_torch(model, (images[:1],), name="small")


def test_shiftcnn(model: nn.Module, network: Network, images: Tensor) -> None:
    """Two shift-adds a MAC; 8 bits a weight stored, 9 bits once a multiplier reads it."""
    found = lower(network, compress(model, uniform("shiftcnn")), images)["4"]
    assert (found.primitive, found.terms, found.weight.bits) == (Primitive.SHIFT_ADD, 2, 9)
    (stored,) = found.weight.stored
    assert stored.decoders == (Decoder.POWER_OF_TWO,)
    assert stored.bits == 120 * 6 * 8 + 2 * 16


def test_a_machine_that_shifts_gains_most(
    model: nn.Module, network: Network, images: Tensor
) -> None:
    shifts = lower(network, compress(model, uniform("shiftcnn")), images, bits=8)
    plain = lower(network, model, images, bits=8)
    for machine, gains in (("shiftcnn", True), ("systolic_ws", False)):
        found = [simulate(each, load_machine(machine)) for each in (plain, shifts)]
        mac = [run.layers[-1].cost.energy_by_component_pj["MAC"] for run in found]
        assert (mac[1] < mac[0]) == gains


def test_shared_and_huffman_coded(model: nn.Module, network: Network, images: Tensor) -> None:
    """A memory takes the shortest code that it can decode; MACs read words as wide as before."""
    plan = uniform("kmeans_weight_sharing", "huffman_coding")
    found = lower(network, compress(model, plan), images)["4"].weight
    assert found.bits == 16
    whole, shared = found.stored
    assert shared.decoders == (Decoder.CODEBOOK,)
    assert shared.bits == 120 * 6 * 4 + 16 * 16
    assert set(whole.decoders) == {Decoder.CODEBOOK, Decoder.HUFFMAN}
    assert whole.bits < shared.bits


def test_zeros_are_the_real_ones(model: nn.Module, network: Network, images: Tensor) -> None:
    layer = model.get_submodule("4")
    mask_(layer, torch.arange(120 * 6).reshape(6, 120) % 4 == 0)
    found = lower(network, model, images)["4"].weight
    assert found.density == 0.25
    assert found.zeros is not None
    assert found.zeros.mask.sum() == 180


def test_layers_left_alone_are_as_they_were(
    model: nn.Module, network: Network, images: Tensor
) -> None:
    plan = Plan(layers={"0": (), "4": (Step(method="shiftcnn"),)})
    found = lower(network, compress(model, plan), images)
    assert found["0"].weight.bits == 16
    assert found["0"].weight.stored == ()
    assert found["0"].primitive is Primitive.MULTIPLY_ADD
    assert [layer.name for layer in found] == [layer.name for layer in network]
    assert found.edges == network.edges


def test_the_model_is_left_alone(model: nn.Module, network: Network, images: Tensor) -> None:
    compressed = compress(model, uniform("shiftcnn"))
    wanted = compressed(images)
    lower(network, compressed, images)
    assert torch.equal(compressed(images), wanted)
