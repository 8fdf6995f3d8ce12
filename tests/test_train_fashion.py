"""Training by recipe: seeded, resumable, and every recipe names weights that ship."""

import re
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from hwsim import registry
from models import _train_fashion, _weights
from models._recipe import Recipe
from models._train_fashion import Training, write_weights
from tests.complaints import refused

STEPS = 5


def tiny(*, augment: bool = True) -> ModuleType:
    """A network's file: one convolution and a classifier of 4 x 6 images, with a recipe."""
    file = ModuleType("tiny")
    vars(file)["RECIPE"] = Recipe(epochs=3, batch=16, augment=augment)
    vars(file)["build"] = lambda: nn.Sequential(
        nn.Conv2d(1, 3, (3, 2)), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(30, 2)
    )
    return file


def stripes() -> tuple[Tensor, Tensor]:
    """Images with a bright upper or lower half, and which."""
    labels = torch.arange(16 * STEPS + 3) % 2
    images = torch.randn(len(labels), 1, 4, 6, generator=torch.Generator().manual_seed(0))
    images[labels == 0, :, :2] += 3
    images[labels == 1, :, 2:] += 3
    return images, labels


def state_bytes(training: Training) -> list[bytes]:
    return [value.numpy().tobytes() for value in training.net.state_dict().values()]


def test_training_learns_and_repeats_itself() -> None:
    runs = [Training(tiny(), *stripes()) for _ in range(2)]
    losses = [[run.run_epoch() for _ in range(3)] for run in runs]
    assert losses[0] == losses[1]
    assert losses[0][-1] < losses[0][0]
    assert state_bytes(runs[0]) == state_bytes(runs[1])


def test_the_rate_rises_and_falls_over_all_epochs() -> None:
    training = Training(tiny(augment=False), *stripes())
    rates = []
    for _ in range(3):
        training.run_epoch()
        rates.append(training.optimiser.param_groups[0]["lr"])
    assert training.schedule.last_epoch == 3 * STEPS
    assert rates[0] > rates[1] > rates[2]
    assert rates[2] < 0.05 * training.recipe.peak_rate


def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole = Training(tiny(), *stripes())
    whole.run_epoch()
    whole.save(tmp_path / "some.pt")
    resumed = Training(tiny(), *stripes())
    resumed.resume(tmp_path / "some.pt")
    assert [whole.run_epoch(), whole.run_epoch()] == [resumed.run_epoch(), resumed.run_epoch()]
    assert state_bytes(whole) == state_bytes(resumed)


def test_checkpoints_of_other_networks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    Training(tiny(), *stripes()).save(path)
    other = Training(tiny(), *stripes())
    other.name = "other"
    refused(
        lambda: other.resume(path), f"{path}: expected a checkpoint of other, found one of tiny"
    )


def test_weights_are_halved_where_that_costs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Brightest(nn.Module):
        """The brightness of the first image column, ten times."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.full((10,), 1 / 3))

        def forward(self, images: Tensor) -> Tensor:
            return images[:, 0, :, 0].sum(1, keepdim=True) * self.weight

    write_weights(Brightest(), tmp_path / "w.safetensors")
    assert _weights.read_tensors(tmp_path / "w.safetensors")["weight"].dtype == torch.float16
    assert re.search(r"top-1 10\.00 %, rounded to half precision 10\.00 %", capsys.readouterr().out)


@pytest.mark.parametrize("name", _train_fashion.recipes())
def test_every_recipe_is_that_of_weights_that_ship(name: str) -> None:
    file = registry.module("network", name)
    assert isinstance(file.RECIPE, Recipe)
    assert vars(file)["WEIGHTS"] == f"{name}.safetensors"
    assert f"python -m models._train_fashion {name}" in " ".join((file.__doc__ or "").split())
