"""Han et al., NIPS 2015, arXiv:1506.02626."""

import pytest
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._fit import Fit, fit
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from compressors.pruning.targets import density, targets
from compressors.weights.masked import mask_of
from tests.methods.conftest import accuracy

LAYERS = ["1", "3", "5"]
SMALL = {"fit": {"epochs": 1}, "rounds": 2}


def settings(rounds: int, epochs: float, sparsity: float) -> dict[str, object]:
    return {
        "sparsity": sparsity,
        "rounds": rounds,
        "fit": {"epochs": epochs, "learning_rate": 0.05},
    }


def test_density_is_exact_and_stays(mlp: nn.Module, training: Data) -> None:
    """Training on leaves zeros zero and moves the others."""
    plan = uniform(("magnitude_pruning", settings(2, 0.2, 0.8)))
    pruned = compress(mlp, plan, data=training)
    total = sum(weight_of(layer).numel() for layer in weighted_layers(mlp).values())
    assert density(targets(pruned, LAYERS)) == (total - round(0.8 * total)) / total
    before = weight_of(pruned.get_submodule("1")).detach().clone()
    assert training.labels is not None
    fit(pruned, training.images, training.labels, Fit(epochs=0.1))
    after = weight_of(pruned.get_submodule("1"))
    assert torch.equal(after == 0, before == 0)
    assert not torch.equal(after, before)


def test_what_goes_is_below_the_threshold(mlp: nn.Module, training: Data) -> None:
    """One round without training: |w| < q std of the layer, with one q."""
    plan = uniform(("magnitude_pruning", settings(1, 0, 0.7) | {"allocation": "std"}))
    pruned = compress(mlp, plan, data=training)
    kept, gone = [], []
    for path, layer in weighted_layers(mlp).items():
        weight, mask = weight_of(layer).detach(), mask_of(pruned.get_submodule(path))
        assert mask is not None
        ratios = (weight / weight.std()).abs()
        kept.append(float(ratios[mask].min()))
        gone.append(float(ratios[~mask].max()))
    assert max(gone) <= min(kept) * (1 + 1e-6)


def test_loses_less_than_a_point_at_80_percent(
    mlp: nn.Module, training: Data, testing: Data
) -> None:
    pruned = compress(mlp, uniform(("magnitude_pruning", settings(3, 2, 0.8))), data=training)
    assert accuracy(pruned, testing) > accuracy(mlp, testing) - 0.01


def test_rounds_beat_one_shot(mlp: nn.Module, training: Data, testing: Data) -> None:
    """Fig. 5 of the paper, at a sparsity that hurts, with as many epochs of training."""
    found = []
    for rounds in (4, 1):
        config = settings(rounds, 4 / rounds, 0.98) | {"allocation": "std"}
        pruned = compress(mlp, uniform(("magnitude_pruning", config)), data=training)
        found.append(accuracy(pruned, testing))
    assert found[0] > found[1]


@pytest.mark.slow
def test_convolutions_and_linear_layers_in_turn(
    cnn: nn.Module, training: Data, testing: Data
) -> None:
    fit = {"epochs": 1.5, "learning_rate": 0.1}
    plan = uniform(("magnitude_pruning", {"sparsity": 0.8, "rounds": 3, "apart": True, "fit": fit}))
    pruned = compress(cnn, plan, data=training)
    assert accuracy(pruned, testing) > accuracy(cnn, testing) - 0.01
