"""Fixed point of mixed widths, and networks in fixed point on disk."""

import copy
import json
from math import ceil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from compressors import Data, Plan, Step, compress, load, lower, save, uniform, weight_codes
from compressors.fixed.layers import FixedPointLayer
from hwsim.errors import InputError
from hwsim.frontends.torch import network_from_torch
from models import resnet20_cifar10
from tests.fixed_point_networks import Everything, Residual, randomise
from tests.test_fixed_point import assert_equals_integers, images

MIXED = {
    "stem.0": {"weight_bits": 6, "activation_bits": 9},
    "depthwise.0": {"weight_bits": 5, "activation_bits": 4},
    "project": {"weight_bits": 3, "activation_bits": 5},
}


def chain() -> nn.Module:
    """Batch-norms behind layers with and without bias, and layers that lose channels."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, (3, 2), bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.ReLU6()),
        *(nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten(), nn.Linear(16, 5)),
    )


def written(folder: Path, model: nn.Module, plan: Plan, batch: Tensor) -> tuple[nn.Module, int]:
    """The network in fixed point, and the bytes of its codes once written and read again."""
    fixed = compress(model, plan, calibration=Data(images=batch))
    size = save(fixed, folder / "saved", plan=plan)
    assert size == sum(file.stat().st_size for file in (folder / "saved").iterdir())
    loaded = load(folder / "saved", randomise(copy.deepcopy(model), seed=99))
    assert torch.equal(loaded(batch), fixed(batch))
    save(loaded, folder / "again", plan=plan)
    for file in (folder / "saved").iterdir():
        assert (folder / "again" / file.name).read_bytes() == file.read_bytes()
    return fixed, (folder / "saved" / "codes.bin").stat().st_size


def plan(*before: str) -> Plan:
    """Methods, and fixed point of all layers."""
    return uniform(*before, ("fixed_point", {"weight_bits": 5}))


@pytest.mark.parametrize("network", [Everything, chain])
def test_graphs_come_back_from_disk(network: type[nn.Module], tmp_path: Path) -> None:
    model = randomise(network(), seed=3)
    fixed, size = written(tmp_path, model, plan(), images(8, 3))
    codes = weight_codes(fixed).values()
    assert size == sum(ceil(code.bits() / 8) for code in codes)
    assert all(code.bits() == 5 * code.decode().numel() + 32 for code in codes)


@pytest.mark.parametrize("network", [resnet20_cifar10.build, chain])
def test_graphs_that_lost_channels_come_back(network: type[nn.Module], tmp_path: Path) -> None:
    model = randomise(network(), seed=4)
    last = next(name for name, part in model.named_modules() if isinstance(part, nn.Linear))
    first = {"*": (Step(method="l1_filter_pruning"),), last: (Step(method="shiftcnn"),)}
    both = {path: (*steps, *plan().layers["*"]) for path, steps in first.items()}
    fixed, _ = written(tmp_path, model, Plan(layers=both), images(4, 3))
    cut = compress(model, Plan(layers=first), data=data())
    small = compress(cut, plan(), data=data())
    assert torch.equal(fixed(images(4, 3)), small(images(4, 3)))


def data() -> Data:
    return Data(images=images(4, 3))


def test_says_where_files_are_of_another_network(tmp_path: Path) -> None:
    written(tmp_path, randomise(chain(), seed=5), plan(), images(4, 3))
    for other in (Everything(), nn.Linear(3, 4), nn.ReLU()):
        with pytest.raises(InputError, match="not of this network") as caught:
            load(tmp_path / "saved", other.eval())
        assert "\n" not in str(caught.value)
    found = json.loads((tmp_path / "saved" / "plan.json").read_text())
    found["graph"]["bits"] = 77
    (tmp_path / "saved" / "plan.json").write_text(json.dumps(found))
    with pytest.raises(InputError, match=r"bits = 77"):
        load(tmp_path / "saved", chain().eval())


def test_layers_may_differ_in_width(tmp_path: Path) -> None:
    """Checked against the integer reference; the simulator sees the widths."""
    model, batch = randomise(Residual(), seed=6), images(8, 2)
    mixed = uniform(("fixed_point", {"weight_bits": 8, "widths": MIXED}))
    fixed, _ = written(tmp_path, model, mixed, batch)
    assert isinstance(fixed, torch.fx.GraphModule)
    assert_equals_integers(fixed, batch)
    formats = {
        path: (part.formats.weight_bits, part.formats.ifmap_bits)
        for path, part in fixed.named_modules()
        if isinstance(part, FixedPointLayer)
    }
    # The sum reads the stem's result too, and wants 8 bits of it.
    wanted = {"stem.0": (6, 9), "depthwise.0": (5, 8), "project": (3, 5), "classifier": (8, 8)}
    assert formats == wanted
    network = network_from_torch(model, (batch[:1],), name="residual")
    lowered = lower(network, fixed, batch)
    for path, (weight, ifmap) in wanted.items():
        assert (lowered[path].weight.bits, lowered[path].ifmap.bits) == (weight, ifmap)
    assert lowered["depthwise.0"].ofmap.bits == 5


def test_widths_of_no_layer_are_refused() -> None:
    bad = uniform(("fixed_point", {"widths": {"nowhere": MIXED["project"]}}))
    with pytest.raises(InputError, match="widths: layer 'nowhere'"):
        compress(randomise(chain(), seed=7), bad, data=data())
