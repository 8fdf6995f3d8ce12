"""Pruning in rounds down to a floor of accuracy, and the trail by which it goes on."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from compressors._descent import descend
from compressors._layers import weight_of
from compressors._trail import Trail, key_of
from compressors.weights.masked import mask_, mask_of

LAYERS = ["0", "2"]


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)).eval()


def thin(model: nn.Module, share: float) -> nn.Module:
    """All rows alike, and every bias one more, so that rounds can be counted."""
    for path in LAYERS:
        layer = model.get_submodule(path)
        weight, mask = weight_of(layer).detach(), mask_of(layer)
        free = torch.ones_like(weight, dtype=torch.bool) if mask is None else mask
        order = weight.abs().masked_fill(~free, -1).flatten().argsort(descending=True)
        chosen = torch.zeros(weight.numel(), dtype=torch.bool)
        chosen[order[: round(share * int(free.sum()))]] = True
        mask_(layer, chosen.reshape(weight.shape))
        layer.get_parameter("bias").data.add_(1)
    return model


def density(model: nn.Module) -> float:
    """The share of weights that are left in the first layer."""
    return float(weight_of(model.get_submodule("0")).count_nonzero()) / 256


@pytest.mark.parametrize(
    ("floor", "gentler", "wanted"),
    [
        (0.3, 0, 128 / 256),  # 128, then 64 is too few
        (0.3, 1, 91 / 256),  # but 128 x 0.7071 is not
        (0.3, 2, 77 / 256),  # 91 x 0.7071 is, 91 x 0.8409 is not
        (0.26, 3, 71 / 256),  # 77 x 0.8409 is too few, 77 x 0.9170 is not
        (0.0, 0, 8 / 256),  # five rounds are all there are
        (1.1, 9, 1.0),  # nothing is good enough
    ],
)
def test_the_last_above_the_floor(
    model: nn.Module, floor: float, gentler: int, wanted: float
) -> None:
    rounds = 5 if floor == 0 else 20
    before = copy.deepcopy(model.state_dict())
    found = descend(
        model, LAYERS, thin, density, floor=floor, keep=0.5, rounds=rounds, gentler=gentler
    )
    assert density(found) == pytest.approx(wanted, abs=1.5 / 256)
    assert density(found) >= min(floor, 1.0)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def killed_after(rounds: int) -> Callable[[nn.Module, float], nn.Module]:
    """`thin`, until the process is stopped."""
    left = [rounds]

    def prune(model: nn.Module, share: float) -> nn.Module:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return thin(model, share)

    return prune


def test_goes_on_where_it_was_killed(model: nn.Module, tmp_path: Path) -> None:
    """Rounds that failed count, too; what was half written or damaged is done anew."""

    def run(prune: Callable[[nn.Module, float], nn.Module], trail: Trail) -> nn.Module:
        return descend(
            model, LAYERS, prune, density, floor=0.26, keep=0.5, rounds=9, gentler=3, trail=trail
        )

    trail = Trail(tmp_path, "job")
    with pytest.raises(KeyboardInterrupt):
        run(killed_after(3), trail)
    kept = sorted(tmp_path.rglob("*.safetensors"))
    assert len(kept) == 3
    kept[2].write_bytes(kept[2].read_bytes()[:50])
    wanted = run(thin, Trail())
    with pytest.raises(KeyboardInterrupt):  # one round more than were left would be asked for
        run(killed_after(1), trail)
    found, again = run(thin, trail), run(killed_after(0), trail)
    for key, value in wanted.state_dict().items():
        assert torch.equal(found.state_dict()[key], value)
        assert torch.equal(again.state_dict()[key], value)


def test_goes_on_where_a_layer_kept_all(model: nn.Module, tmp_path: Path) -> None:
    """It has no mask, nor has it one afterwards."""

    def ends(network: nn.Module, share: float) -> nn.Module:
        mask_(network.get_submodule("2"), torch.arange(16).expand(3, 16) % 4 > 0)
        return network

    trail = Trail(tmp_path, "job")
    first, again = (
        descend(model, LAYERS, prune, density, floor=1, keep=0.5, rounds=1, trail=trail)
        for prune in (ends, killed_after(0))
    )
    assert mask_of(again.get_submodule("0")) is None
    assert mask_of(again.get_submodule("2")) is not None
    for key, value in first.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)


def test_other_jobs_have_other_names() -> None:
    tensor = torch.arange(6.0)
    keys = {
        key_of(tensor),
        key_of(tensor.reshape(2, 3)),
        key_of(tensor.double()),
        key_of({"weight": tensor}),
        key_of({"bias": tensor}),
        key_of(tensor, {"keep": 0.5}),
        key_of(tensor, {"keep": 0.6}),
        key_of([1, 2]),
        key_of(1, 2),
        key_of(torch.tensor(6)),
        key_of(tensor[::2]),
    }
    assert len(keys) == 11
    assert key_of(tensor, {"keep": 0.5}) == key_of(tensor.clone(), {"keep": 0.5})
