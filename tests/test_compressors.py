"""What every compression method must offer and obey; compressors/ has a file for each."""

import copy
import inspect
import json
from importlib import import_module
from math import ceil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

import hwsim.config
from compressors._compress import compress, compress_
from compressors._data import Data, Needs
from compressors._files import load, save
from compressors._layers import COMPRESSIBLE, weight_of, weighted_layers
from compressors._lower import lower
from compressors._plan import Plan, Step, uniform
from compressors.codes._bytes import payload
from compressors.fixed.recipe import fixed_layers
from compressors.weights._form import code_of, parametrized
from hwsim import registry
from hwsim.errors import ConfigError, InputError
from hwsim.frontends.torch import network_from_torch
from tests.fixed_point_networks import randomise

NAMES = registry.names("compressor")
REWRITES = {"fixed_point"}  # the graph as a whole, rather than its weights
METHODS = Path(__file__).with_name("methods")


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each method in turn."""
    found: str = request.param
    return found


@pytest.fixture
def method(name: str) -> ModuleType:
    """The method's file."""
    return registry.module("compressor", name)


@pytest.fixture
def model() -> nn.Module:
    """Nested paths, batch-norm, a depthwise and a linear layer."""
    first = nn.Sequential(nn.Conv2d(2, 4, (3, 2), stride=(1, 2)), nn.BatchNorm2d(4), nn.ReLU())
    second = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.ReLU())
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    return randomise(nn.Sequential(nn.Sequential(first, second), *head), seed=0)


@pytest.fixture
def data() -> Data:
    """Non-square images that fit the model, and labels."""
    draw = torch.Generator().manual_seed(1)
    images = torch.randn(6, 2, 9, 12, generator=draw)
    return Data(images=images, labels=torch.randint(3, (6,), generator=draw))


@pytest.fixture
def plan(name: str, method: ModuleType, model: nn.Module) -> Plan:
    """The method on every layer that it takes."""
    keep = [p for p, layer in weighted_layers(model).items() if not isinstance(layer, method.TAKES)]
    return uniform((name, small(name)), keep=[*keep, *small_keep(name)])


def small(name: str) -> dict[str, Any]:
    """Settings that fit so small a network: `SMALL` in the method's own tests, if they need any."""
    if not (METHODS / f"test_{name}.py").exists():
        return {}
    settings: dict[str, Any] = getattr(import_module(f"tests.methods.test_{name}"), "SMALL", {})
    return settings


def small_keep(name: str) -> tuple[str, ...]:
    """Layers of the network that a method must leave: `SMALL_KEEP` in its own tests."""
    if not (METHODS / f"test_{name}.py").exists():
        return ()
    paths: tuple[str, ...] = getattr(import_module(f"tests.methods.test_{name}"), "SMALL_KEEP", ())
    return paths


def test_there_are_methods() -> None:
    assert {"fixed_point", "shiftcnn", "kmeans_weight_sharing"} <= set(NAMES)


def test_every_method_has_tests_of_its_own(name: str) -> None:
    assert name in REWRITES or (METHODS / f"test_{name}.py").exists()


def test_configs_are_frozen_json_and_complete(method: ModuleType) -> None:
    config = method.Config()
    assert isinstance(config, hwsim.config.Config)
    assert method.Config.model_validate_json(config.model_dump_json()) == config
    for key in type(config).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(config, key, 1)
    with pytest.raises(ValidationError, match="Extra inputs"):
        method.Config.model_validate({"no_such_key": 1})


def test_what_a_file_says(method: ModuleType) -> None:
    wanted = ["model", "layers", "config", "data"]
    assert list(inspect.signature(method.compress).parameters) == wanted
    assert method.__doc__
    assert method.Config.__doc__
    assert method.compress.__doc__
    assert method.NEEDS in Needs
    assert set(method.TAKES) <= set(COMPRESSIBLE)


def test_leaves_the_original_alone(plan: Plan, model: nn.Module, data: Data) -> None:
    before, images = copy.deepcopy(model.state_dict()), data.images.clone()
    training = model.train().training
    compress(model, plan, data=data)
    assert model.training == training
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert torch.equal(data.images, images)


def test_is_deterministic(plan: Plan, model: nn.Module, data: Data) -> None:
    first, second = (compress(model, plan, data=data) for _ in range(2))
    assert first.state_dict().keys() == second.state_dict().keys()
    for key, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[key])
    assert torch.equal(first(data.images), second(data.images))


def test_in_place_is_the_same(plan: Plan, model: nn.Module, data: Data) -> None:
    wanted = compress(model, plan, data=data)
    compress_(model, plan, data=data)
    assert torch.equal(model(data.images), wanted(data.images))


def test_keeps_paths_and_shapes(plan: Plan, model: nn.Module, data: Data) -> None:
    compressed = compress(model, plan, data=data)
    assert not compressed.training
    assert {"0.0.0", "0.1.0", "3"} <= dict(compressed.named_modules()).keys()
    with torch.no_grad():
        wanted, found = model(data.images), compressed(data.images)
    assert found.shape == wanted.shape
    assert found.dtype == torch.float32
    assert found.isfinite().all()


def test_weights_are_what_their_code_says(
    name: str, plan: Plan, model: nn.Module, data: Data
) -> None:
    if name in REWRITES:
        pytest.skip("rewrites the graph")
    compressed = compress(model, plan, data=data)
    for layer in weighted_layers(compressed).values():
        code = code_of(layer)
        assert torch.equal(code.decode(), weight_of(layer))
        assert len(payload(code)) == ceil(code.bits() / 8)


def test_written_and_read_again(plan: Plan, model: nn.Module, data: Data, tmp_path: Path) -> None:
    compressed, fresh = compress(model, plan, data=data), copy.deepcopy(model)
    size = save(compressed, tmp_path / "saved", plan=plan)
    assert size == sum(file.stat().st_size for file in (tmp_path / "saved").iterdir())
    coded = {code_of(layer, tensor) for _, layer, tensor in parametrized(compressed)}
    coded |= {layer.code() for layer in fixed_layers(compressed).values()}
    packed = (tmp_path / "saved" / "codes.bin").stat().st_size
    assert packed == sum(ceil(code.bits() / 8) for code in coded)
    loaded = load(tmp_path / "saved", fresh)
    assert torch.equal(loaded(data.images), compressed(data.images))
    save(loaded, tmp_path / "again", plan=plan)
    for file in (tmp_path / "saved").iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_lowers_to_the_same_work_in_narrower_words(
    plan: Plan, model: nn.Module, data: Data
) -> None:
    network = network_from_torch(model, (data.images[:1],), name="small")
    compressed = compress(model, plan, data=data)
    found = lower(network, compressed, data.images)
    for layer in found:
        assert layer.macs <= network[layer.name].macs
        assert layer.weight.bits <= 16
        assert layer.ifmap.bits <= 16
        assert 0 <= layer.weight.density <= 1
    assert found == lower(network, compressed, data.images)


def test_weights_stay_trainable(name: str, plan: Plan, model: nn.Module, data: Data) -> None:
    if name in REWRITES:
        pytest.skip("rewrites the graph")
    compressed = compress(model, plan, data=data).train()
    torch.autograd.backward(compressed(data.images).square().sum())
    for layer in weighted_layers(compressed).values():
        grads = [p.grad for p in layer.parameters() if p.requires_grad]
        assert any(grad is not None for grad in grads)


def test_can_be_exported(plan: Plan, model: nn.Module, data: Data) -> None:
    compressed = compress(model, plan, data=data)
    program = torch.export.export(compressed, (data.images,), strict=False)
    assert torch.equal(program.module()(data.images), compressed(data.images))


def test_names_the_layer_with_bad_weights(plan: Plan, model: nn.Module, data: Data) -> None:
    path = next(path for path, steps in plan.resolved(model).layers.items() if steps)
    for value in (float("nan"), float("inf")):
        broken = copy.deepcopy(model)
        broken.get_parameter(f"{path}.weight").data.view(-1)[1] = value
        with pytest.raises(InputError, match=f"'{path}'".replace(".", r"\.")):
            compress(broken, plan, data=data)


def test_says_what_data_it_needs(method: ModuleType, plan: Plan, model: nn.Module) -> None:
    images = torch.randn(4, 2, 9, 12)
    if method.NEEDS is not Needs.NOTHING:
        with pytest.raises(InputError, match=f"needs {method.NEEDS}"):
            compress(model, plan)
    if method.NEEDS is Needs.LABELS:
        with pytest.raises(InputError, match="needs labels"):
            compress(model, plan, data=Data(images=images))


def test_refuses_bad_images() -> None:
    images = torch.randn(4, 2, 9, 12)
    for bad in (images[:0], images * float("nan"), images.long()):
        with pytest.raises(InputError, match="images") as caught:
            Data(images=bad)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="labels"):
        Data(images=images, labels=torch.zeros(3, dtype=torch.int64))


def test_plans_are_complete_and_travel_as_json(model: nn.Module) -> None:
    plan = uniform("shiftcnn", keep=["3"])
    assert Plan.model_validate(json.loads(plan.model_dump_json())) == plan
    assert plan.resolved(model).layers["3"] == ()
    assert plan.resolved(model).layers["0.0.0"][0].config == {"terms": 2, "bits": 4}
    step = Step(method="shiftcnn")
    with pytest.raises(InputError, match=r"'0\.1\.0': not named"):
        Plan(layers={"0.0.0": (step,), "3": ()}).resolved(model)
    with pytest.raises(InputError, match="'nowhere': not in the network"):
        Plan(layers={"nowhere": (step,), "*": ()}).resolved(model)
    with pytest.raises(ValidationError, match="no layer has a step"):
        Plan(layers={"*": ()})
    with pytest.raises(ConfigError, match=r"plan: config\.terms = 0"):
        uniform(("shiftcnn", {"terms": 0}))
    with pytest.raises(ConfigError, match="plan: method = 'shift_cnn': known"):
        uniform("shift_cnn")


def test_settings_left_out_are_the_methods_own() -> None:
    """At every depth; `Fit` alone would have a rate of 0.01 and decay."""
    found = Step(method="binaryconnect", config={"fit": {"epochs": 7}}).settings.model_dump()
    own = Step(method="binaryconnect").settings.model_dump()
    assert (own["fit"]["learning_rate"], own["fit"]["weight_decay"]) == (0.05, 0)
    assert found == own | {"fit": own["fit"] | {"epochs": 7}}
    given = {"coding": {"places": ["csr"]}, "sharing_fit": {"seed": 3}}
    nested = Step(method="deep_compression", config=given).settings.model_dump()
    default = Step(method="deep_compression").settings.model_dump()
    assert default["sharing_fit"]["learning_rate"] != 0.01
    assert nested["sharing_fit"] == default["sharing_fit"] | {"seed": 3}
    assert (nested["coding"]["places"], nested["coding"]["linear_bits"]) == (("csr",), 5)
    with pytest.raises(ConfigError, match=r"config\.fit\.epoch"):
        uniform(("binaryconnect", {"fit": {"epoch": 7}}))


def test_shared_weights_are_refused() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    with pytest.raises(InputError, match="weights are also"):
        compress(model, uniform("shiftcnn"))


def test_compressing_again_leaves_the_first_alone(model: nn.Module, data: Data) -> None:
    first = compress(model, uniform("shiftcnn"))
    wanted = first(data.images)
    compress(first, uniform("kmeans_weight_sharing"))
    assert torch.equal(first(data.images), wanted)


def test_methods_nest(model: nn.Module) -> None:
    """Sharing and Huffman coding of one layer, ShiftCNN on another."""
    shared = (Step(method="kmeans_weight_sharing"), Step(method="huffman_coding"))
    plan = Plan(layers={"*": (Step(method="shiftcnn"),), "3": shared})
    compressed = compress(model, plan)
    assert code_of(compressed.get_submodule("3")).kind == "huffman"
    assert code_of(compressed.get_submodule("0.0.0")).kind == "sums"
    assert isinstance(compressed(torch.randn(1, 2, 9, 12)), Tensor)
