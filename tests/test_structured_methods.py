"""Methods that remove channels, on networks in which channels are tied in every way."""

import pytest
import torch
from torch import Tensor, nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from compressors.structure._groups import channel_groups
from compressors.weights._form import code_of
from compressors.weights.masked import mask_of
from hwsim.errors import InputError
from tests.fixed_point_networks import randomise
from tests.structured_networks import COLOURS, Gate, Joined, PaddedShortcut, Residual, depthwise

SETTINGS: dict[str, dict[str, object]] = {
    "l1_filter_pruning": {"selection": "greedy"},
    "taylor_pruning": {"rounds": 2},
    "apoz_network_trimming": {"deviations": 0.0},
    "entropy_pruning": {"bins": 8},
    "thinet": {},
    "channel_pruning_lasso": {},
    "oracle_pruning": {},
    "inbound_pruning": {"mode": "reduce_and_reuse"},
    "data_free_neuron_pruning": {},
    "maxout_neuron_pruning": {"fit": {"epochs": 1, "batch": 8, "learning_rate": 0.001}},
    "lda_pruning": {"trace": True},
}


def head(channels: int) -> tuple[nn.Module, ...]:
    """Maps of 2 x 3, flattened, into classes."""
    return nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(), nn.Linear(channels * 6, 3)


def stem(channels: int) -> nn.Sequential:
    conv = nn.Conv2d(COLOURS, channels, (3, 2), bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


NETWORKS = {
    "residual": (stem(6), Residual(6, 4), Residual(6, 5), *head(6)),
    "padded": (stem(6), PaddedShortcut(6, 10), PaddedShortcut(10, 12), *head(12)),
    "joined": (stem(6), Joined(6, 4, 6), nn.Conv2d(10, 8, 1), nn.ReLU(), *head(8)),
    "depthwise": (stem(6), depthwise(6, 1), nn.Conv2d(6, 8, 1), nn.ReLU6(), *head(8)),
    "gated": (stem(6), Gate(6), nn.Conv2d(6, 8, 1), nn.ReLU(), *head(8)),
}


@pytest.fixture(scope="module")
def data() -> Data:
    draw = torch.Generator().manual_seed(1)
    images = torch.randn(24, COLOURS, 10, 9, generator=draw)
    return Data(images=images, labels=torch.randint(3, (24,), generator=draw))


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", SETTINGS)
def test_every_method_takes_every_network(name: str, network: str, data: Data) -> None:
    """The network is smaller, still one network, and gives logits of the same shape."""
    if (name, network) == ("maxout_neuron_pruning", "joined"):
        pytest.skip("batch-norm behind a concatenation tells joined channels apart: refused")
    model = randomise(nn.Sequential(*NETWORKS[network]), seed=3)
    last = list(weighted_layers(model))[-1]
    smaller = compress(model, uniform((name, SETTINGS[name]), keep=[last]), data=data)
    with torch.no_grad():
        logits: Tensor = smaller(data.images)
    assert logits.shape == (24, 3)
    assert logits.isfinite().all()
    assert parameters(smaller) < parameters(model)
    assert len(channel_groups(smaller)) == len(channel_groups(model))


@pytest.mark.parametrize("name", SETTINGS)
def test_layers_keep_a_channel(name: str, data: Data) -> None:
    """Down to one by one method after another, and then no further."""
    first = (nn.Conv2d(COLOURS, 2, 3), nn.ReLU(), nn.Conv2d(2, 1, 3), nn.ReLU())
    model = randomise(nn.Sequential(*first, *head(1)), seed=3)
    step = (name, SETTINGS[name])
    smaller = compress(model, uniform(step, step, keep=["6"]), data=data)
    assert len(smaller.get_parameter("0.weight")) <= 2
    assert len(smaller.get_parameter("2.weight")) == 1


def test_filters_that_only_go_together_are_refused(data: Data) -> None:
    """One filter in each group: none can go without all."""
    model = nn.Sequential(nn.Conv2d(COLOURS, 4, 3), nn.Conv2d(4, 2, 1, groups=2), *head(2))
    with pytest.raises(InputError, match=r"'1': l1_filter_pruning: .* all together"):
        compress(model, uniform("l1_filter_pruning", keep=["0", "4"]), data=data)


def test_methods_nest(data: Data) -> None:
    """Kernels masked, channels removed, weights shared and coded: each keeps what it finds."""
    model = randomise(nn.Sequential(*NETWORKS["residual"]), seed=3)
    steps = ("inbound_pruning", "thinet", "kmeans_weight_sharing", "huffman_coding")
    small = compress(model, uniform(*steps, keep=["5"]), data=data)
    for path, layer in weighted_layers(small).items():
        if path != "5":
            mask, weight = mask_of(layer), weight_of(layer)
            assert mask is None or torch.equal(mask, weight != 0)
            assert weight_of(layer).shape[0] < weight_of(model.get_submodule(path)).shape[0]
            assert code_of(layer).kind == "huffman"
            assert torch.equal(code_of(layer).decode(), weight_of(layer))
    with pytest.raises(InputError, match="weight is Shared"):
        compress(small, uniform("thinet", keep=["5"]), data=data)
    assert any(mask_of(layer) is not None for layer in weighted_layers(small).values())
    l1 = compress(small, uniform("l1_filter_pruning", keep=["5"]))
    assert parameters(l1) < parameters(small)


def test_norms_know_the_network_that_was_cut(data: Data) -> None:
    """Nothing trains, and no label is needed: each norm has the mean and variance of what it reads;
    without images those that it had."""
    model = randomise(nn.Sequential(*NETWORKS["residual"]), seed=3)
    plan = uniform(("l1_filter_pruning", {"keep": 0.5}), keep=["5"])
    mended, cut = (compress(model, plan, data=each) for each in (Data(images=data.images), None))
    before, after = norms_of(model), norms_of(cut)
    for path, norm in norms_of(mended).items():
        seen: list[Tensor] = []
        handle = norm.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        with torch.no_grad():
            mended(data.images)
        handle.remove()
        mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
        assert torch.allclose(mean, seen[0].mean((0, 2, 3)), rtol=1e-2, atol=1e-3)
        assert torch.allclose(variance, seen[0].var((0, 2, 3)), rtol=1e-2)
        kept, whole = (each[path].get_buffer("running_var") for each in (after, before))
        assert set(kept.tolist()) <= set(whole.tolist())
        assert not torch.allclose(variance, kept, rtol=1e-2)


def norms_of(model: nn.Module) -> dict[str, nn.BatchNorm2d]:
    return {path: part for path, part in model.named_modules() if isinstance(part, nn.BatchNorm2d)}
