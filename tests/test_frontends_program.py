"""Programs that torch.export recorded, as networks: the same as their modules are."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hwsim.frontends.torch import network_from_program, network_from_pt2, network_from_torch
from hwsim.workload import Network
from tests.complaints import refused
from tests.fixed_point_networks import Everything


class Mixed(nn.Module):
    """A folded batch-norm, local response normalisation, a module called twice, a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, (3, 2), bias=False), nn.BatchNorm2d(4))
        self.norm: nn.Module = nn.LocalResponseNorm(3)
        self.twice = nn.Conv2d(4, 4, 1)
        self.pool = nn.MaxPool2d((2, 3))
        self.classifier = nn.Linear(4 * 4 * 4, 5)

    def forward(self, images: Tensor) -> Tensor:
        found = self.twice(self.twice(self.norm(self.stem(images))).relu())
        logits: Tensor = self.classifier(self.pool(found).flatten(1)).softmax(1)
        return logits


SHAPES = {Mixed: (2, 3, 10, 14), Everything: (2, 3, 11, 14)}


def shapes_alone(network: Network) -> list[tuple[str, dict[str, int], int, int]]:
    """The layers without their names."""
    return [(str(each.op), each.bounds, each.stride_h, each.pad_w) for each in network]


@pytest.mark.parametrize("kind", [Mixed, pytest.param(Everything, marks=pytest.mark.slow)])
def test_a_program_is_the_network_that_its_module_is(kind: type[nn.Module], tmp_path: Path) -> None:
    module, images = kind().eval(), torch.zeros(SHAPES[kind])
    wanted = network_from_torch(module, (images,), name="net")
    program = torch.export.export(module, (images,))
    assert network_from_program(program, name="net") == wanted
    torch.export.save(program, tmp_path / "net.pt2")
    assert network_from_pt2(tmp_path / "net.pt2") == wanted


def test_a_program_in_core_operators_has_the_same_layers() -> None:
    module, images = Mixed().eval(), torch.zeros(SHAPES[Mixed])
    module.norm = nn.Identity()  # core operators spell its division otherwise
    wanted = network_from_torch(module, (images,), name="net")
    core = torch.export.export(module, (images,)).run_decompositions()
    found = network_from_program(core, name="net")
    assert shapes_alone(found) == shapes_alone(wanted)
    assert [each.name for each in found if each.weighted] == [
        each.name for each in wanted if each.weighted
    ]


class Sparse(nn.Module):
    """A grouped convolution, its transposed kind, a normalised and a plain linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 6, (3, 2), stride=(2, 1), groups=2)
        self.up = nn.ConvTranspose2d(6, 2, 3, stride=2)
        self.linear = nn.Linear(18, 5)
        self.tied = nn.Linear(5, 7, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        found = self.up(self.conv(images).relu())
        logits: Tensor = self.tied(self.linear(found.mean(3).flatten(1)))
        return logits


@pytest.mark.parametrize("core", [False, True])
def test_weights_bring_their_zeros(core: bool, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(2)
    module, images = Sparse().eval(), torch.zeros(1, 4, 9, 5)
    with torch.no_grad():
        for weight in (part.weight for part in (module.conv, module.up, module.linear)):
            weight.mul_(torch.rand(weight.shape, generator=generator) < 0.3)
    program = torch.export.export(module, (images,))
    torch.export.save(program.run_decompositions() if core else program, tmp_path / "net.pt2")
    network = network_from_pt2(tmp_path / "net.pt2")
    for name, part in (("conv", module.conv), ("linear", module.linear)):
        zeros, nonzero = network[name].weight.zeros, (part.weight != 0).numpy()
        assert zeros is not None
        assert (zeros.mask.reshape(nonzero.shape) == nonzero).all()
        assert network[name].weight.density == pytest.approx(nonzero.mean())
    assert (network["tied"].weight.zeros, network["tied"].weight.density) == (None, 1.0)
    share = float((module.up.weight != 0).float().mean())
    split = [layer for layer in network if layer.name.startswith("up")]
    assert split
    for layer in split:
        assert layer.weight.density == pytest.approx(share)


def test_open_shapes_are_refused() -> None:
    batch = torch.export.Dim("batch", min=2, max=8)
    program = torch.export.export(
        nn.Conv2d(3, 4, 1), (torch.zeros(2, 3, 5, 6),), dynamic_shapes=({0: batch},)
    )
    refused(lambda: network_from_program(program, name="net"), "network 'net'")


def test_files_that_are_no_programs(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    refused(lambda: network_from_pt2(path), f"{path}: no such file")
    torch.export.save(torch.export.export(nn.Linear(3, 4), (torch.zeros(2, 3),)), path)
    whole = path.read_bytes()
    for content in (b"", b"no program", whole[: len(whole) // 2]):
        path.write_bytes(content)
        refused(lambda: network_from_pt2(path), f"{path}: is not a program")
    torch.save({"a": 1}, path)
    refused(lambda: network_from_pt2(path), f"{path}: is not a program")
