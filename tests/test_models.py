"""The networks: published counts, exportability, and the weights that ship or install."""

import importlib.metadata
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from data import cifar10, fashion_mnist, image_folder
from hwsim import registry
from hwsim.accuracy import top1
from hwsim.errors import InputError
from models import _weights, mobilenet_v1, mobilenet_v2

NAMES = registry.names("network")
TRAINED = [name for name in NAMES if hasattr(registry.module("network", name), "WEIGHTS")]
# MACs and parameters. The papers round these (569 M and 4.2 M for MobileNetV1, table 8; 300 M and
# 3.4 M for MobileNetV2, table 4); torchvision's model cards give its parameters to the last digit
# and its MACs to 0.001 billion. CIFAR-10's ResNets have 0.27 M and 0.85 M parameters (table 6 of
# arXiv:1512.03385), EfficientNet-Lite0 4.7 M, LeNet-300-100 and LeNet-5 266 k and 431 k (tables 2
# and 3 of arXiv:1510.00149).
PUBLISHED = {
    "alexnet": (724_406_816, 60_965_224),
    "mobilenet_v1": (568_740_352, 4_231_976),
    "mobilenet_v2": (300_774_272, 3_504_872),
    "efficientnet_lite0": (385_187_552, 4_652_008),
    "lenet5_fashion": (2_293_000, 431_080),
    "lenet_300_100_fashion": (266_200, 266_610),
    "resnet18": (1_814_073_344, 11_689_512),
    "resnet20_cifar10": (40_551_040, 269_722),
    "resnet50": (4_089_184_256, 25_557_032),
    "resnet56_cifar10": (125_485_696, 853_018),
    "vgg16": (15_470_264_320, 138_357_544),
}
# The least top-1 percentage that the trained networks are to reach on all 10,000 test images.
FASHION_TOP1 = {
    "alexnet_fashion": 91.5,
    "lenet5_fashion": 91.5,
    "lenet_300_100_fashion": 89.5,
    "mobilenet_v1_fashion": 92.5,
    "resnet20_fashion": 93.0,
}
SHARED = Path(__file__).parents[2] / "shared" / "data"
# The weights' file and top-1 percentage on CIFAR-10's 10,000 test images, as the file says.
CIFAR10_WEIGHTS = {
    "resnet20_cifar10": ("resnet20-12fca82f.th", 91.78),
    "resnet56_cifar10": ("resnet56-4bfd9763.th", 93.62),
}
# Multiplications per image in Chen et al., "Eyeriss", ISCA 2016, table II's shapes.
ALEXNET_LAYER_MACS = {
    "conv1": 105_415_200,
    "conv2": 223_948_800,
    "conv3": 149_520_384,
    "conv4": 112_140_288,
    "conv5": 74_760_192,
    "fc6": 37_748_736,
    "fc7": 16_777_216,
    "fc8": 4_096_000,
}
# Entries of torchvision's state dictionaries, and one name of each kind.
TORCHVISION_NAMES = {
    "mobilenet_v2": (314, ["features.0.0.weight", "features.1.conv.1.weight", "classifier.1.bias"]),
    "resnet18": (122, ["conv1.weight", "layer2.0.downsample.1.running_var", "fc.bias"]),
    "resnet50": (320, ["layer1.0.downsample.0.weight", "layer4.2.conv3.weight", "bn1.bias"]),
    "vgg16": (32, ["features.0.weight", "features.28.bias", "classifier.6.weight"]),
}


def shapes_only(name: str) -> tuple[ModuleType, nn.Module, Tensor]:
    """A network's file, the network and one image, on a device that stores no values."""
    file = registry.module("network", name)
    with torch.device("meta"):
        return file, file.build(), torch.empty(1, *file.INPUT_SHAPE)


def macs_by_layer(net: nn.Module, image: Tensor) -> dict[str, int]:
    """Multiply-accumulates of each convolution and linear layer, from the shapes that flow."""
    counted: dict[str, int] = {}

    def counter(name: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
        def count(layer: nn.Module, inputs: tuple[Tensor], ofmap: Tensor) -> None:
            weight = layer.get_parameter("weight")
            counted[name] = ofmap.numel() * weight[0].numel()

        return count

    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(counter(name))
    net(image)
    return counted


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_are_the_published_ones(name: str) -> None:
    _, net, image = shapes_only(name)
    macs, parameters = PUBLISHED[name]
    assert sum(macs_by_layer(net, image).values()) == macs
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters


def test_fashion_alexnet_ranks_its_layers_differently_by_macs_and_by_weights() -> None:
    _, net, image = shapes_only("alexnet_fashion")
    macs = macs_by_layer(net, image)
    weights = {name: net.get_parameter(f"{name}.weight").numel() for name in macs}
    assert sum(macs.values()) == 14_346_880
    assert sum(parameter.numel() for parameter in net.parameters()) == 1_295_634
    assert sorted(macs, key=lambda name: -macs[name])[0] == "conv2"
    assert sorted(weights, key=lambda name: -weights[name])[:2] == ["fc6", "fc7"]
    assert macs["conv2"] == 14 * 14 * 48 * 24 * 25


def test_alexnet_layers_have_the_macs_eyeriss_lists() -> None:
    _, net, image = shapes_only("alexnet")
    assert macs_by_layer(net, image) == ALEXNET_LAYER_MACS


def test_fashion_network_is_the_half_width_body() -> None:
    _, net, image = shapes_only("mobilenet_v1_fashion")
    assert sum(parameter.numel() for parameter in net.parameters()) == 823_434
    _, full, _ = shapes_only("mobilenet_v1")
    macs = macs_by_layer(net, image)
    assert sum(macs.values()) == 11_872_256
    assert macs.keys() == macs_by_layer(full, torch.empty(1, 3, 32, 32, device="meta")).keys()
    assert macs["stem.conv"] == 32 * 32 * 16 * 9
    assert macs["blocks.12.pointwise.conv"] == 2 * 2 * 512 * 512


@pytest.mark.parametrize("name", TORCHVISION_NAMES)
def test_parameters_bear_torchvision_names(name: str) -> None:
    _, net, _ = shapes_only(name)
    entries, some = TORCHVISION_NAMES[name]
    assert len(net.state_dict()) == entries
    assert net.state_dict().keys() >= set(some)


@pytest.mark.parametrize("name", NAMES)
def test_every_network_can_be_traced_and_exported(name: str) -> None:
    file, net, image = shapes_only(name)
    assert file.__doc__
    assert not any(module.training for module in net.modules())
    logits = net(image)
    assert logits.ndim == 2
    assert torch.fx.symbolic_trace(net)(image).shape == logits.shape
    exported = torch.export.export(net, (image,))
    assert exported.module()(image).shape == logits.shape


@pytest.mark.parametrize("name", TRAINED)
def test_every_shipped_weights_file_loads(name: str) -> None:
    file = registry.module("network", name)
    path = _weights.find_weights(file)
    assert path is not None
    _weights.load_weights(file.build(), path)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name.startswith("lenet") else pytest.mark.slow)
        for name in FASHION_TOP1
    ],
)
def test_trained_networks_reach_their_accuracy(name: str) -> None:
    file = registry.module("network", name)
    net = trained(name, _weights.find_weights(file))
    test = fashion_mnist.load()
    found = 100 * top1(net, test.images, test.labels)
    print(f"{name}: top-1 {found:.2f} % of {len(test.labels)} images")
    assert found >= FASHION_TOP1[name]
    (said,) = re.findall(r"score\s+([\d.]+)\s+%", str(file.__doc__))
    assert found == pytest.approx(float(said), abs=0.05)  # processors round sums differently


@pytest.mark.parametrize("name", CIFAR10_WEIGHTS)
def test_cifar10_networks_reach_their_published_accuracy(name: str) -> None:
    file, published = CIFAR10_WEIGHTS[name]
    path = SHARED / "nets" / file
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    test = cifar10.load(SHARED / "cifar10")
    found = 100 * top1(trained(name, path), test.images, test.labels)
    print(f"{name}: top-1 {found:.2f} % of {len(test.labels)} images, published {published} %")
    assert found == pytest.approx(published, abs=3)  # 2.5 standard errors of 500 images


def trained(name: str, path: Path | None) -> nn.Module:
    """The network with the weights in the file, laid out as convolutions are fastest."""
    assert path is not None
    net: nn.Module = registry.module("network", name).build()
    _weights.load_weights(net, path)
    return convert_conv2d_weight_memory_format(net, torch.channels_last)


def test_efficientnet_lite0_tells_images_apart() -> None:
    file = registry.module("network", "efficientnet_lite0")
    path = _weights.find_weights(file)
    if path is None:
        pytest.skip(f"{file.WEIGHTS_PACKAGE} is not installed")
    if not (SHARED / "imagenet").is_dir():
        pytest.skip(f"{SHARED / 'imagenet'} is absent")
    test = image_folder.load(
        SHARED / "imagenet" / "val", limit=100, calibration_images=1, scaling="symmetric"
    )
    found = 100 * top1(trained("efficientnet_lite0", path), test.images, test.labels)
    print(f"efficientnet_lite0: top-1 {found:.2f} % of {len(test.labels)} images")
    assert found >= 70  # 82.2 % of 1300 such images, less three standard errors of 100


def test_installed_weights_fit_mobilenet_v2() -> None:
    path = _weights.find_weights(mobilenet_v2)
    if path is None:
        pytest.skip(f"{mobilenet_v2.WEIGHTS_PACKAGE} is not installed")
    net = mobilenet_v2.build()
    _weights.load_weights(net, path)
    published = torch.load(path, weights_only=True)
    torch.testing.assert_close(
        net.state_dict()["features.0.0.weight"], published["features.0.0.weight"]
    )


def test_packages_are_found_only_in_the_pinned_version() -> None:
    assert _weights.installed_weights("no-such-package-anywhere==1.0") is None
    assert _weights.installed_weights("safetensors==0.0.0") is None
    present = importlib.metadata.version("safetensors")
    assert _weights.installed_weights(f"safetensors=={present}") is None  # it holds no weights


def test_networks_without_weights_have_none() -> None:
    assert _weights.find_weights(mobilenet_v1) is None


def small_network() -> nn.Module:
    """A convolution of fixed weights and its normalisation."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, (3, 1)), nn.BatchNorm2d(3))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".th"])
@pytest.mark.parametrize("precision", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_load_and_widen(tmp_path: Path, suffix: str, precision: torch.dtype) -> None:
    tensors = {
        name: value.to(precision) if value.is_floating_point() else value
        for name, value in small_network().state_dict().items()
    }
    write_weights(tmp_path / f"w{suffix}", tensors)
    net = nn.Sequential(nn.Conv2d(2, 3, (3, 1)), nn.BatchNorm2d(3))
    _weights.load_weights(net, tmp_path / f"w{suffix}")
    for name, value in net.state_dict().items():
        assert value.dtype in (torch.float32, torch.int64)
        torch.testing.assert_close(value, tensors[name].to(value.dtype), rtol=0, atol=0)


def write_weights(path: Path, content: object) -> None:
    """Write tensors in the format the suffix names."""
    if path.suffix == ".safetensors":
        assert isinstance(content, dict)
        save_file(content, path)
    else:
        torch.save(content, path)


def test_files_without_batch_counters_load(tmp_path: Path) -> None:
    tensors = small_network().state_dict()
    del tensors["1.num_batches_tracked"]
    write_weights(tmp_path / "w.pth", tensors)
    _weights.load_weights(small_network(), tmp_path / "w.pth")


BROKEN_TENSORS: dict[str, tuple[dict[str, Tensor | None], str]] = {
    "missing": ({"0.bias": None}, "0.bias: missing from the file"),
    "unknown": ({"fc.bias": torch.zeros(3)}, "fc.bias: the network has no such tensor"),
    "shape": ({"0.bias": torch.zeros(4)}, "0.bias: expected shape [3], found [4]"),
    "type": ({"0.bias": torch.zeros(3, dtype=torch.int32)}, "0.bias: expected type torch.float32"),
    "infinite": ({"0.bias": torch.full((3,), torch.inf)}, "0.bias: holds values that are not"),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("case", BROKEN_TENSORS)
def test_unfit_tensors_are_named(tmp_path: Path, case: str, suffix: str) -> None:
    changes, complaint = BROKEN_TENSORS[case]
    changed = {**small_network().state_dict(), **changes}
    path = tmp_path / f"w{suffix}"
    write_weights(path, {name: value for name, value in changed.items() if value is not None})
    net = small_network()
    with torch.no_grad():
        net.get_parameter("0.weight").zero_()
    message = complaint_of(net, path)
    assert message.startswith(f"{path}: {complaint}")
    assert not net.get_parameter("0.weight").any(), "a refused file must change nothing"


def complaint_of(net: nn.Module, path: Path) -> str:
    """The InputError that loading raises: one line that names the file."""
    with pytest.raises(InputError, match=re.escape(str(path))) as caught:
        _weights.load_weights(net, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_damaged_files_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    write_weights(path, small_network().state_dict())
    whole = path.read_bytes()
    for content in (b"", b"\0", b"not weights at all\n" * 9, whole[:-40], whole[: len(whole) // 2]):
        path.write_bytes(content)
        assert "not a readable weights file" in complaint_of(small_network(), path)


def test_absent_and_strange_files_are_refused(tmp_path: Path) -> None:
    assert "no such weights file" in complaint_of(small_network(), tmp_path / "none.pth")
    assert "no such weights file" in complaint_of(small_network(), tmp_path / "none.safetensors")
    assert "expected a file ending in" in complaint_of(small_network(), tmp_path / "w.h5")
    write_weights(tmp_path / "list.pth", [torch.zeros(3)])
    assert "found list" in complaint_of(small_network(), tmp_path / "list.pth")
    write_weights(tmp_path / "nested.pth", {"ema": {}})
    assert "ema: expected a tensor" in complaint_of(small_network(), tmp_path / "nested.pth")
    write_weights(tmp_path / "empty.pth", {"state_dict": {}})
    assert "0.weight: missing" in complaint_of(small_network(), tmp_path / "empty.pth")
    write_weights(tmp_path / "none.pth", {"state_dict": None})
    assert "found NoneType" in complaint_of(small_network(), tmp_path / "none.pth")


def test_checkpoints_of_training_scripts_load(tmp_path: Path) -> None:
    tensors = small_network().state_dict()
    wrapped = {f"module.{name}": value for name, value in tensors.items()}
    net = nn.Sequential(nn.Conv2d(2, 3, (3, 1)), nn.BatchNorm2d(3))
    for content in (wrapped, {"state_dict": wrapped, "epoch": 3}, {"state_dict": tensors}):
        write_weights(tmp_path / "w.th", content)
        with torch.no_grad():
            net.get_parameter("0.weight").zero_()
        _weights.load_weights(net, tmp_path / "w.th")
        assert net.get_parameter("0.weight").equal(tensors["0.weight"])


def test_pickled_code_is_refused(tmp_path: Path) -> None:
    torch.save(small_network(), tmp_path / "module.pth")
    assert "not a readable" in complaint_of(small_network(), tmp_path / "module.pth")
