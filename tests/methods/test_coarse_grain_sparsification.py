"""Kadetotad et al., ICCAD 2016."""

import pytest
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._fit import Fit, fit
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.codes.sparse import Sparse
from compressors.weights._form import code_of
from compressors.weights.masked import mask_of
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 1}, "block": (2, 2), "sparsity": 0.5}


def sparse(model: nn.Module, data: Data, epochs: float, seed: int = 0) -> nn.Module:
    fitted = {"epochs": epochs, "learning_rate": 0.05}
    settings = {"block": (10, 16), "seed": seed, "fit": fitted}
    plan = uniform(("coarse_grain_sparsification", settings), keep=["5"])
    return compress(model, plan, data=data)


def test_masks_are_constant_over_blocks_and_time(mlp: nn.Module, training: Data) -> None:
    found = sparse(mlp, training, 0.2)
    mask = mask_of(found.get_submodule("1"))
    assert mask is not None
    blocks = mask.reshape(10, 10, 16, 16).sum((1, 3))
    assert set(blocks.flatten().tolist()) == {0, 160}
    assert int((blocks == 0).sum()) == 120
    untrained = mask_of(sparse(mlp, training, 0).get_submodule("1"))
    assert torch.equal(mask, untrained if untrained is not None else ~mask)
    other = mask_of(sparse(mlp, training, 0, seed=1).get_submodule("1"))
    assert other is not None
    assert not torch.equal(mask, other)
    assert training.labels is not None
    fit(found, training.images, training.labels, Fit(epochs=0.2))
    assert not weight_of(found.get_submodule("1"))[~mask].any()


def test_places_take_less_than_a_thousandth(mlp: nn.Module, training: Data) -> None:
    """A bit for each block of 160 weights, beside the weights that are kept."""
    code = code_of(sparse(mlp, training, 0).get_submodule("1"))
    assert isinstance(code, Sparse)
    assert code.parts.streams["places"].bits == 160
    assert code.bits() == 160 + 40 * 160 * 32


@pytest.mark.slow
def test_three_quarters_lose_less_than_a_point(
    mlp: nn.Module, training: Data, testing: Data
) -> None:
    found = sparse(mlp, training, 15)
    print(accuracy(mlp, testing), accuracy(found, testing))
    assert accuracy(found, testing) > accuracy(mlp, testing) - 0.01
