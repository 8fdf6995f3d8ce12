"""Measured densities, against counts made by forward hooks and by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwsim import registry
from hwsim.cost import cost
from hwsim.errors import InputError
from hwsim.frontends.torch import network_from_torch, with_densities, with_zeros
from hwsim.hardware import load_machine
from hwsim.simulate import best_mapping
from hwsim.skipping import performed_share
from hwsim.workload import Network, Zeros


def share(*tensors: Tensor) -> float:
    """Share of non-zeros of several tensors together."""
    return sum(int((t != 0).sum()) for t in tensors) / sum(t.numel() for t in tensors)


def measured(module: nn.Module, images: Tensor) -> Network:
    network = network_from_torch(module, (images[:1],), name="sample")
    return with_densities(network, module, images)


def images_with_zeros(*size: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(size, generator=generator).relu()


def build_small() -> nn.Sequential:
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 4, (1, 3)),
        nn.Flatten(),
        nn.Linear(4 * 3 * 2, 5),
    ).eval()


@pytest.mark.parametrize("count", [1, 7, 32])
def test_every_tensor_against_a_plain_forward_pass(count: int) -> None:
    module, images = build_small(), images_with_zeros(count, 3, 6, 8)
    with torch.no_grad():
        module.get_parameter("0.weight")[:, 0] = 0
        values = [images]
        for part in module:
            values.append(part(values[-1].clone()))
    network = measured(module, images)
    assert network["0"].weight.density == pytest.approx(2 / 3)
    assert network["0"].ifmap.density == pytest.approx(share(images))
    assert network["0"].ofmap.density == pytest.approx(share(values[3]))  # after the ReLU
    assert network["2"].ifmap.density == pytest.approx(share(values[2]))
    assert network["3"].ofmap.density == pytest.approx(share(values[4]))
    assert network["4"].ifmap.density == pytest.approx(share(values[4]))
    assert network["4"].ofmap.density == network["6"].ifmap.density == 1.0
    assert network["6"].ofmap.density == pytest.approx(share(values[7]))


def test_an_ofmap_with_two_readers_is_stored_before_the_activation() -> None:
    class Split(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.conv(x)
            ofmap: Tensor = hidden.relu() + hidden
            return ofmap

    network = measured(Split(), images_with_zeros(4, 3, 5, 6))
    assert network["conv"].ofmap.density == 1.0
    relu, add = network["relu"], network["add"]
    assert add.ifmap.density == pytest.approx((1 + relu.ofmap.density) / 2)


def test_the_second_operand_of_a_product_counts_as_its_weight() -> None:
    class Product(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.bmm(x - 10, functional.relu(x).transpose(1, 2))

    images = images_with_zeros(4, 5, 6)
    layer = measured(Product(), images)["bmm"]
    assert layer.ifmap.density == 1.0
    assert layer.weight.density == pytest.approx(share(images))


def test_only_densities_change() -> None:
    module, images = build_small(), images_with_zeros(3, 3, 6, 8)
    plain = network_from_torch(module, (images[:1],), name="sample")
    narrow = plain.with_layers(
        {layer.name: layer.at_bits(ifmap=8, weight=4, ofmap=8, psum=20) for layer in plain}
    )
    network = with_densities(narrow, module, images)
    assert (network.edges, network.views) == (plain.edges, plain.views)
    assert {layer.weight.bits for layer in network} == {4}
    assert [layer.bounds for layer in network] == [layer.bounds for layer in plain]
    assert network == with_densities(narrow, module, images)


def test_a_network_of_other_layers_is_refused() -> None:
    network = network_from_torch(nn.Sequential(nn.Linear(4, 4)), (torch.ones(1, 4),), name="other")
    with pytest.raises(InputError, match="network 'other': the module has no layer '0'"):
        with_densities(network, nn.Linear(4, 4), torch.ones(2, 4))


def test_weights_without_values_are_refused() -> None:
    module = nn.Linear(4, 4, device="meta")
    network = network_from_torch(module, (torch.ones(1, 4),), name="empty")
    with pytest.raises(InputError, match="network 'empty': its weights are on the meta device"):
        with_densities(network, module, torch.ones(2, 4))


@pytest.mark.parametrize("name", ["alexnet", "mobilenet_v1_fashion", "resnet18"])
def test_shipped_networks_have_densities_of_their_inputs(name: str) -> None:
    found = registry.module("network", name)
    module, images = found.build(), images_with_zeros(2, *found.INPUT_SHAPE)
    read: dict[str, float] = {}

    def watch(path: str, part: nn.Module) -> None:
        part.register_forward_pre_hook(lambda _, given: read.update({path: share(given[0])}))

    network = measured(module, images)
    for path, part in module.named_modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            watch(path, part)
    with torch.inference_mode():
        module(images)
    for path, density in read.items():
        assert network[path].ifmap.density == pytest.approx(density, abs=1e-4), path


# Zeros themselves


def shape_of(values: Tensor, *sizes: int) -> Zeros:
    return Zeros.of(values.detach().reshape(sizes).numpy())


def kept(module: nn.Module, images: Tensor) -> Network:
    network = network_from_torch(module, (images,), name="sample")
    return with_zeros(network, module, images)


@pytest.mark.parametrize("count", [1, 3])
def test_zeros_are_those_of_a_plain_forward_pass(count: int) -> None:
    module, images = build_small(), images_with_zeros(count, 3, 6, 8)
    with torch.no_grad():
        module.get_parameter("0.weight")[:, 1] = 0
        module.get_parameter("6.weight")[::2] = 0
        values = [images]
        for part in module:
            values.append(part(values[-1].clone()))
    network = kept(module, images)
    conv, pool, narrow, linear = (network[name] for name in ("0", "3", "4", "6"))
    assert conv.ifmap.zeros == shape_of(images, count, 3, 6, 8)
    assert conv.weight.zeros == shape_of(module.get_parameter("0.weight"), 8, 3, 3, 3)
    assert conv.ofmap.zeros == shape_of(values[3], count, 8, 6, 8)  # after norm and ReLU
    assert pool.ifmap.zeros == conv.ofmap.zeros
    assert pool.ofmap.zeros == narrow.ifmap.zeros == shape_of(values[4], count, 8, 3, 4)
    assert narrow.ofmap.zeros == shape_of(values[5], count, 4, 3, 2)  # before it is flattened
    assert linear.ifmap.zeros == shape_of(values[6], count, 24, 1, 1)
    assert linear.weight.zeros == shape_of(module.get_parameter("6.weight"), 5, 24, 1, 1)
    assert linear.ofmap.zeros == shape_of(values[7], count, 5, 1, 1)


def test_densities_are_the_same_with_zeros_and_without() -> None:
    module, images = build_small(), images_with_zeros(2, 3, 6, 8)
    network = network_from_torch(module, (images,), name="sample")
    known, told = (measure(network, module, images) for measure in (with_zeros, with_densities))
    for one, other in zip(known, told, strict=True):
        for tensor in one.tensors:
            assert one.tensor(tensor).density == pytest.approx(other.tensor(tensor).density)
            assert other.tensor(tensor).zeros is None
    assert with_densities(known, module, images) == told


def test_where_a_view_changes_the_order_before_values_change_only_the_share_is_kept() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 1)
            self.after = nn.Conv2d(3, 6, 1)

        def forward(self, x: Tensor) -> Tensor:
            first: Tensor = self.conv(x).transpose(1, 3).relu()
            second: Tensor = self.after(x).relu().transpose(1, 3)
            return torch.cat((first.flatten(), second.flatten()))

    images = images_with_zeros(1, 3, 5, 6)
    network = kept(Turned(), images)
    assert network["conv"].ofmap.zeros is None
    assert network["conv"].ofmap.density < 1
    assert network["after"].ofmap.zeros is not None
    assert network["conv"].ifmap.zeros == network["after"].ifmap.zeros


def test_products_of_activations_keep_the_share_alone() -> None:
    class Product(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.bmm(x, functional.relu(x).transpose(1, 2))

    layer = kept(Product(), images_with_zeros(4, 5, 6))["bmm"]
    assert (layer.ifmap.zeros, layer.weight.zeros) == (None, None)
    assert layer.weight.density < 1


def test_zeros_are_of_one_batch() -> None:
    module, images = build_small(), images_with_zeros(3, 3, 6, 8)
    network = network_from_torch(module, (images[:1],), name="sample")
    with pytest.raises(InputError, match="layer '0': 3 images make N = 3, not 1"):
        with_zeros(network, module, images)


def test_a_grouped_strided_sample_runs_on_a_skipping_machine() -> None:
    """Real zeros from weights and maps to skipped cycles and exact bits, odd shapes included."""
    torch.manual_seed(1)
    module = nn.Sequential(nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=1, groups=2), nn.ReLU())
    with torch.no_grad():
        module.get_parameter("0.weight").mul_(torch.rand(6, 2, 3, 2) < 0.4)
    images = images_with_zeros(1, 4, 9, 5)
    layer = kept(module, images)["0"].at_bits(ifmap=8, weight=8, ofmap=8, psum=24)
    able = load_machine("zero_skipping")
    weight = module.get_parameter("0.weight") != 0
    work = functional.conv2d((images != 0).double(), weight.double(), None, (2, 1), 1, 1, 2)
    assert performed_share(layer, able.mac) * layer.macs == pytest.approx(float(work.sum()))
    mapping, found = best_mapping(layer, able)
    everything = able.model_copy(update={"mac": able.mac.model_copy(update={"zero_skipping": ()})})
    assert found.compute_cycles < cost(layer, mapping, everything).compute_cycles
