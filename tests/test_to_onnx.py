"""Compressed networks as ONNX files, executed by onnxruntime."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import compressors
from compressors import Data, Plan, to_onnx
from compressors._plan import Step
from compressors.fixed.grid import Quantiser
from compressors.fixed.integer import integer_forward
from compressors.fixed_point import Config, lower
from data import fashion_mnist
from hwsim.frontends.onnx import network_from_onnx
from hwsim.frontends.torch import network_from_torch
from models import lenet5_fashion
from models._weights import find_weights, load_weights
from tests.complaints import refused
from tests.fixed_point_networks import Everything, Residual, fixed, randomise

onnx = pytest.importorskip("onnx", reason="onnx is part of the test extra")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is part of the test extra")
pytest.importorskip("onnxscript", reason="onnxscript is part of the test extra")

Numbers = dict[str, np.ndarray[Any, Any]]


def executed(path: Path, images: Tensor, *, optimised: bool, codes: bool = False) -> Numbers:
    """What onnxruntime computes; with `codes` also all that is quantised on the way, in order."""
    model = onnx.load(path)
    wanted = [output.name for output in model.graph.output]
    if codes:
        found = [n.output[0] for n in model.graph.node if n.op_type == "QuantizeLinear"]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in found)
        wanted += found
    options, levels = onnxruntime.SessionOptions(), onnxruntime.GraphOptimizationLevel
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    )
    # Processors without VNNI instructions add pairs of products in 16 bits unless told not to.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(wanted, session.run(wanted, {"images": images.numpy()}), strict=True))


def random_images(count: int, channels: int) -> Tensor:
    """Random non-square images."""
    return torch.randn(count, channels, 11, 14, generator=torch.Generator().manual_seed(5))


CASES = [
    (Residual, 2, 8),
    pytest.param(Residual, 2, 3, marks=pytest.mark.slow),
    pytest.param(Everything, 3, 8, marks=pytest.mark.slow),
    pytest.param(Everything, 3, 4, marks=pytest.mark.slow),
    pytest.param(Everything, 3, 11, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("kind", "channels", "bits"), CASES)
def test_fixed_point_gives_the_integers_of_the_integer_reference(
    kind: type[nn.Module], channels: int, bits: int, tmp_path: Path
) -> None:
    images, path = random_images(20, channels), tmp_path / "net.onnx"
    model = fixed(
        randomise(kind(), seed=bits),
        Config(weight_bits=bits, activation_bits=bits),
        calibration=images,
    )
    to_onnx(model, path, images)
    source = next(part for part in model.modules() if isinstance(part, Quantiser))
    wanted = integer_forward(model, source.codes(images))
    logits, *codes = executed(path, images, optimised=False, codes=True).values()
    assert len(codes) == len(wanted)
    low, high = source.low, source.high
    for (name, exact), computed in zip(wanted.items(), codes, strict=True):
        assert np.array_equal(exact.numpy(), computed.clip(low, high).reshape(exact.shape)), name
    (optimised,) = executed(path, images, optimised=True).values()
    assert np.array_equal(logits, optimised)
    with torch.no_grad():
        assert np.array_equal(logits, model(images).numpy())
    if kind is Residual:
        assert_read_back_as(path, model, kind(), images)


def assert_read_back_as(path: Path, model: nn.Module, plain: nn.Module, images: Tensor) -> None:
    """The file holds the layers that the simulator is told of, by name, width and zeros."""
    network = network_from_torch(plain.eval(), (images[:1],), name="net")
    said = {layer.name: layer for layer in lower(network, model) if layer.weighted}
    read = {layer.name: layer for layer in network_from_onnx(path) if layer.weighted}
    assert read.keys() == said.keys()
    for name, layer in read.items():
        wanted = said[name]
        assert layer.bounds == wanted.bounds
        assert (layer.H, layer.W, layer.pad_h, layer.pad_w) == (
            *(wanted.H, wanted.W),
            *(wanted.pad_h, wanted.pad_w),
        )
        for tensor in ("ifmap", "weight"):
            assert layer.tensor(tensor).bits == wanted.tensor(tensor).bits, name
        assert layer.weight.density == pytest.approx(wanted.weight.density)


class Small(nn.Module):
    """Two convolutions with batch-norms, a residual and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(2, 8, (3, 2), padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.mix = nn.Conv2d(8, 8, 1)
        self.hidden, self.classifier = nn.Linear(8, 12), nn.Linear(12, 5)

    def forward(self, images: Tensor) -> Tensor:
        stem = self.stem(images)
        features = (stem + self.mix(stem)).relu().mean((2, 3))
        logits: Tensor = self.classifier(self.hidden(features).relu())
        return logits


def steps(*methods: tuple[str, dict[str, Any]]) -> tuple[Step, ...]:
    """Steps of a plan."""
    return tuple(Step(method=method, config=config) for method, config in methods)


def test_each_code_is_exported_as_what_it_is(tmp_path: Path) -> None:
    images, path = random_images(16, 2), tmp_path / "net.onnx"
    plan = Plan(
        layers={
            "stem.0": steps(("tensorrt_int8_kl", {"rule": "max"})),
            "mix": steps(("uniform_fixed_point", {"bits": 4})),
            "hidden": steps(("kmeans_weight_sharing", {"bits": 3})),
            "classifier": steps(
                ("tensorrt_int8_kl", {"rule": "max"}), ("relative_index_sparse_coding", {})
            ),
        }
    )
    network = randomise(Small(), seed=2)
    network.get_parameter("classifier.weight").data[::2] = 0
    model = compressors.compress(network, plan, data=Data(images=images))
    to_onnx(model, path, images)
    with torch.no_grad():
        wanted = model(images).numpy()
    for optimised in (False, True):
        (found,) = executed(path, images, optimised=optimised).values()
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    held = {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}
    assert held["stem.0.weight.codes"].data_type == onnx.TensorProto.INT8
    assert list(held["stem.0.weight.scale"].dims) == [8]
    assert held["hidden.weight"].data_type == onnx.TensorProto.FLOAT
    read = network_from_onnx(path)
    assert {each.name: (each.ifmap.bits, each.weight.bits) for each in read if each.weighted} == {
        "stem.0": (8, 8),
        "mix": (16, 4),
        "hidden": (16, 16),
        "classifier": (8, 8),
    }
    for name, code in compressors.weight_codes(model).items():
        density = float((code.decode() != 0).double().mean())
        assert read[name].weight.density == pytest.approx(density)
    again = tmp_path / "again.onnx"
    to_onnx(copy.deepcopy(model), again, images)
    assert path.read_bytes() == again.read_bytes()
    assert str(tmp_path).encode() not in path.read_bytes()
    assert b".py" not in path.read_bytes()


class Undecided(nn.Module):
    """Its forward pass depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.layer(images)
        return found if float(images.sum()) > 0 else -found


class Counting(Undecided):
    """Its forward pass takes the number of images for a constant."""

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.layer(images.reshape(len(images), -1))
        return found


def test_what_cannot_be_exported_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, images = tmp_path / "net.onnx", torch.zeros(2, 3)
    refused(lambda: to_onnx(Undecided(), path, images), f"{path}: the network cannot be exported: ")
    said = f"{path}: the network cannot be exported: its arithmetic takes the number of images"
    refused(lambda: to_onnx(Counting(), path, images), said)
    (tmp_path / "file").write_bytes(b"")
    absent = tmp_path / "file" / "net.onnx"
    refused(lambda: to_onnx(nn.Linear(3, 2), absent, images), f"{absent}: cannot be written: ")
    monkeypatch.setattr("compressors._onnx.find_spec", lambda name: None)
    refused(
        lambda: to_onnx(nn.Linear(3, 2), path, images),
        f"{path}: needs the package onnx: pip install 'hwsim[onnx]'",
    )
    assert not path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fixed_point", "tensorrt_int8_kl"])
def test_int8_networks_have_the_accuracy_that_they_have_here(method: str, tmp_path: Path) -> None:
    found, network = fashion_mnist.load(limit=2000), lenet5_fashion.build()
    weights = find_weights(lenet5_fashion)
    assert weights is not None
    load_weights(network, weights)
    calibration = Data(images=found.calibration[:128])
    model = compressors.compress(network, compressors.uniform(method), data=calibration)
    path = tmp_path / "net.onnx"
    to_onnx(model, path, found.images)
    with torch.no_grad():
        wanted = compressors.frozen(model)(found.images).numpy()
    (logits,) = executed(path, found.images, optimised=True).values()
    labels = found.labels.numpy()
    here, there = ((each.argmax(1) == labels).mean() for each in (wanted, logits))
    assert abs(here - there) <= 0.001
    if method == "fixed_point":
        assert np.array_equal(logits, wanted)
