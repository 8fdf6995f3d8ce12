"""Methods on networks of shapes that other tests lack: grouped and depthwise convolutions beside
each other, a concatenation, a shortcut, words of a sequence through the same linear layer.
"""

import copy
from math import ceil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compressors._compress import compress
from compressors._data import Data
from compressors._files import load, save
from compressors._layers import WEIGHTED, weight_codes
from compressors._lower import lower
from compressors._plan import uniform
from compressors.codes._bytes import payload
from hwsim.errors import InputError
from hwsim.frontends.torch import network_from_torch
from tests.fixed_point_networks import randomise

SHORT = {"epochs": 1}


class Branches(nn.Module):
    """A grouped and a depthwise branch, joined, and a block with a shortcut of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, (3, 5), stride=(1, 2), padding=(1, 2), bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 4, 1)
        self.block = nn.Conv2d(12, 16, (1, 3), stride=2, padding=(0, 1))
        self.shortcut = nn.Conv2d(12, 16, 1, stride=2)
        self.head = nn.Linear(16, 5)

    def forward(self, images: Tensor) -> Tensor:
        stem = functional.relu(self.norm(self.stem(images)))
        right = self.pointwise(functional.relu(self.depthwise(stem)))
        both = torch.cat([functional.relu(self.grouped(stem)), right], 1)
        last = functional.relu(self.block(both) + self.shortcut(both))
        logits: Tensor = self.head(last.mean((2, 3)))
        return logits


class Words(nn.Module):
    """Convolutions along a line, then linear layers that see each place of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 5, stride=2, padding=2)
        self.depthwise = nn.Conv1d(8, 8, 3, padding=1, groups=8)
        self.word = nn.Linear(8, 12)
        self.out = nn.Linear(12, 5)

    def forward(self, line: Tensor) -> Tensor:
        maps = functional.relu(self.depthwise(functional.relu(self.conv(line))))
        logits: Tensor = self.out(functional.relu(self.word(maps.transpose(1, 2))).mean(1))
        return logits


def subject(kind: type[nn.Module]) -> tuple[nn.Module, Data]:
    shape = (3, 9, 14) if kind is Branches else (4, 23)
    draw = torch.Generator().manual_seed(0)
    images, labels = (
        torch.randn(40, *shape, generator=draw),
        torch.randint(5, (40,), generator=draw),
    )
    return randomise(kind(), seed=0), Data(images=images, labels=labels)


PLANS = [
    ("hessian_weighted_kmeans", {"bits": 2}, []),
    ("quantized_cnn", {}, []),
    ("xnor_net", {"fit": SHORT}, []),
    ("structured_sparsity_learning", {"train": SHORT, "fit": SHORT}, []),
    ("entropy_pruning", {"keep": 0.5}, ["grouped", "head", "out"]),
    ("density_diversity_penalty", {"train": SHORT, "fit": SHORT}, []),
]


@pytest.mark.parametrize("kind", [Branches, Words])
@pytest.mark.parametrize(("method", "settings", "keep"), PLANS, ids=[plan[0] for plan in PLANS])
def test_any_network_of_these_layers(
    method: str, settings: dict[str, object], keep: list[str], kind: type[nn.Module], tmp_path: Path
) -> None:
    """Compressed, exported, written, read again and lowered; bits are the bytes written."""
    model, data = subject(kind)
    keep = [path for path in keep if path in dict(model.named_modules())]
    plan, before = uniform((method, settings), keep=keep), copy.deepcopy(model.state_dict())
    compressed = compress(model, plan, data=data)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    wanted = compressed(data.images)
    exported = torch.export.export(copy.deepcopy(compressed), (data.images,), strict=False)
    assert torch.allclose(exported.module()(data.images), wanted, atol=1e-5)
    size = save(compressed, tmp_path / "saved", plan=plan)
    assert size == sum(file.stat().st_size for file in (tmp_path / "saved").iterdir())
    assert torch.equal(load(tmp_path / "saved", model)(data.images), wanted)
    for code in weight_codes(compressed).values():
        assert len(payload(code)) == ceil(code.bits() / 8)
    network = network_from_torch(model, (data.images[:1],), name="odd")
    assert all(0 <= layer.weight.density <= 1 for layer in lower(network, compressed, data.images))


def test_channels_that_one_method_cannot_judge() -> None:
    """Least squares need a reader whose window can be laid out: the layer to leave is named."""
    model, data = subject(Branches)
    plan = uniform("channel_pruning_lasso", keep=["head"])
    with pytest.raises(InputError, match=r"layer 'stem': channel_pruning_lasso: .* by 'grouped'"):
        compress(model, plan, data=data)


def test_channels_that_others_left_no_choice() -> None:
    """With one input a group left, the outputs of a grouped layer go with those inputs alone."""
    model, data = subject(Branches)
    for method in ("entropy_pruning", "data_free_neuron_pruning"):
        plan = uniform((method, {"keep": 0.5}), keep=["head"])
        with pytest.raises(InputError, match=rf"layer 'grouped': {method}: .* with .* 'stem'"):
            compress(model, plan, data=data)


def test_errors_of_shared_parts_name_the_method() -> None:
    model, data = subject(Branches)
    with pytest.raises(InputError, match=r"inbound_pruning: layer 'depthwise'"):
        compress(model, uniform("inbound_pruning"), data=data)


def test_a_plan_must_do_something() -> None:
    model, data = subject(Branches)
    paths = [path for path, part in model.named_modules() if isinstance(part, WEIGHTED)]
    plan = uniform("shiftcnn", keep=paths)
    with pytest.raises(InputError, match="no layer of the network has a step"):
        compress(model, plan, data=data)


def test_what_breaks_a_network_is_named() -> None:
    """A bias that is no number; images of another size; a normalisation that is no number."""
    model, data = subject(Branches)
    wrong = Data(images=data.images[:, :1], labels=data.labels)
    with pytest.raises(InputError, match="hessian_weighted_kmeans: data: images 40x1x9x14 do not"):
        compress(model, uniform("hessian_weighted_kmeans"), data=wrong)
    model.get_parameter("block.bias").data[3] = torch.nan
    with pytest.raises(InputError, match="layer 'block': shiftcnn: its weights are not all finite"):
        compress(model, uniform("shiftcnn"))
    model, _ = subject(Branches)
    model.get_buffer("norm.running_mean")[0] = torch.nan
    with pytest.raises(InputError, match=r"fixed_point: data: .* values that are not finite"):
        compress(model, uniform("fixed_point"), data=data)


def test_no_layer_is_skipped_in_silence() -> None:
    """Nor one of a kind that no method takes, nor numbers of another width."""
    model = nn.Sequential(nn.ConvTranspose2d(2, 3, 3), nn.Conv2d(3, 4, 1))
    with pytest.raises(InputError, match="layer '0': no method takes ConvTranspose2d: give it"):
        compress(model, uniform("shiftcnn"))
    compress(model, uniform("shiftcnn", keep=["0"]))
    with pytest.raises(InputError, match="layer '1': shiftcnn takes weights of float32, not float"):
        compress(model.double(), uniform("shiftcnn", keep=["0"]))
