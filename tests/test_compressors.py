"""What every compressor must offer and obey; the files in compressors/ are found by name."""

import copy
import inspect
from types import ModuleType

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

import hwsim.config
from hwsim import registry
from hwsim.errors import InputError
from hwsim.workload import Layer, Network, Op
from tests.fixed_point_networks import randomise

NAMES = registry.names("compressor")


@pytest.fixture(params=NAMES)
def compressor(request: pytest.FixtureRequest) -> ModuleType:
    """Each compressor in turn."""
    return registry.module("compressor", request.param)


@pytest.fixture
def model() -> nn.Module:
    """Nested paths, batch-norm, a depthwise and a linear layer."""
    first = nn.Sequential(nn.Conv2d(2, 4, (3, 2), stride=(1, 2)), nn.BatchNorm2d(4), nn.ReLU())
    second = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.ReLU())
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    return randomise(nn.Sequential(nn.Sequential(first, second), *head), seed=0)


@pytest.fixture
def calibration() -> Tensor:
    """Non-square images that fit the model."""
    return torch.randn(6, 2, 9, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def network() -> Network:
    """The model's layers, under the module paths."""
    return Network(
        "small",
        (
            Layer(name="0.0.0", C=2, K=4, P=7, Q=6, R=3, S=2, stride_w=2),
            Layer(name="0.1.0", G=4, P=5, Q=4, R=3, S=3),
            Layer(name="1", op=Op.POOL, G=4, R=5, S=4),
            Layer(name="3", op=Op.LINEAR, C=4, K=3),
        ),
    )


def test_there_are_compressors() -> None:
    assert "fixed_point" in NAMES


def test_configs_are_frozen_json_and_complete(compressor: ModuleType) -> None:
    config = compressor.Config()
    assert isinstance(config, hwsim.config.Config)
    assert compressor.Config.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config, next(iter(type(config).model_fields)), 1)
    with pytest.raises(ValidationError, match="Extra inputs"):
        compressor.Config.model_validate({"no_such_key": 1})


def test_signatures(compressor: ModuleType) -> None:
    assert list(inspect.signature(compressor.compress).parameters) == [
        "model",
        "config",
        "calibration",
    ]
    assert list(inspect.signature(compressor.lower).parameters) == ["network", "model"]
    assert compressor.__doc__
    assert compressor.compress.__doc__


def test_leaves_the_original_alone(
    compressor: ModuleType, model: nn.Module, calibration: Tensor
) -> None:
    before, images = copy.deepcopy(model.state_dict()), calibration.clone()
    training = model.train().training
    compressor.compress(model, compressor.Config(), calibration=calibration)
    assert model.training == training
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert torch.equal(calibration, images)


def test_is_deterministic(compressor: ModuleType, model: nn.Module, calibration: Tensor) -> None:
    first, second = (
        compressor.compress(model, compressor.Config(), calibration=calibration) for _ in range(2)
    )
    assert first.state_dict().keys() == second.state_dict().keys()
    for key, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[key])
    assert torch.equal(first(calibration), second(calibration))


def test_keeps_paths_shapes_and_sense(
    compressor: ModuleType, model: nn.Module, calibration: Tensor
) -> None:
    compressed = compressor.compress(model, compressor.Config(), calibration=calibration)
    assert not compressed.training
    paths = dict(compressed.named_modules())
    assert {"0.0.0", "0.1.0", "3"} <= paths.keys()
    with torch.no_grad():
        wanted, found = model(calibration), compressed(calibration)
    assert found.shape == wanted.shape
    assert found.dtype == torch.float32
    assert torch.corrcoef(torch.stack([wanted.flatten(), found.flatten()]))[0, 1] > 0.9


def test_names_the_layer_with_bad_weights(
    compressor: ModuleType, model: nn.Module, calibration: Tensor
) -> None:
    for value in (float("nan"), float("inf")):
        broken = copy.deepcopy(model)
        broken.get_parameter("0.1.0.weight").data[1, 0, 2, 1] = value
        with pytest.raises(InputError, match=r"'0\.1\.0'"):
            compressor.compress(broken, compressor.Config(), calibration=calibration)


def test_refuses_bad_calibration(
    compressor: ModuleType, model: nn.Module, calibration: Tensor
) -> None:
    for bad in (calibration[:0], calibration * float("nan"), calibration.to(torch.int64)):
        with pytest.raises(InputError, match="calibration") as caught:
            compressor.compress(model, compressor.Config(), calibration=bad)
        assert "\n" not in str(caught.value)


def test_lowering_keeps_the_work_and_narrows_the_words(
    compressor: ModuleType, model: nn.Module, calibration: Tensor, network: Network
) -> None:
    compressed = compressor.compress(model, compressor.Config(), calibration=calibration)
    lowered = compressor.lower(network, compressed)
    assert [layer.name for layer in lowered] == [layer.name for layer in network]
    assert lowered.edges == network.edges
    for before, after in zip(network, lowered, strict=True):
        assert after.macs <= before.macs
        assert after.weight.bits <= before.weight.bits
        assert after.ifmap.bits <= before.ifmap.bits
        assert 0 < after.weight.density <= 1
    assert lowered == compressor.lower(network, compressed)
