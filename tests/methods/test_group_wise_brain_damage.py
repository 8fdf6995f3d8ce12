"""Lebedev and Lempitsky, CVPR 2016, arXiv:1506.02515."""

import torch
from torch import nn
from torch.nn import functional

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.codes.sparse import Sparse
from compressors.weights._form import code_of
from tests.methods.conftest import accuracy

SMALL = {"train": {"epochs": 1}, "fit": {"epochs": 1}}


def damaged(model: nn.Module, data: Data, **settings: object) -> nn.Module:
    found = {"train": {"epochs": 0}, "fit": {"epochs": 0}} | settings
    plan = uniform(("group_wise_brain_damage", found), keep=["9"])
    return compress(model, plan, data=data)


def test_all_filters_share_a_mask_of_least_norms(cnn: nn.Module, training: Data) -> None:
    alive = weight_of(damaged(cnn, training).get_submodule("3")) != 0
    assert torch.equal(alive, alive[:1].expand_as(alive))
    norms = weight_of(cnn.get_submodule("3")).norm(dim=0)
    assert int(alive[0].sum()) == 36
    assert norms[alive[0]].min() > norms[~alive[0]].max()


def test_a_thinner_product_is_the_masked_convolution(cnn: nn.Module, training: Data) -> None:
    layer = damaged(cnn, training).get_submodule("3")
    assert isinstance(layer, nn.Conv2d)
    rows = (layer.weight != 0).any(0).flatten()
    images = torch.randn(2, 8, 7, 9, generator=torch.Generator().manual_seed(0))
    lowered = functional.unfold(images, 3, stride=layer.stride)[:, rows]
    found = layer.weight.flatten(1)[:, rows] @ lowered
    assert lowered.shape[1] == 36
    assert torch.allclose(found, layer(images).flatten(2), atol=1e-5)


def test_places_do_not_grow_with_filters(cnn: nn.Module, training: Data) -> None:
    code = code_of(damaged(cnn, training).get_submodule("3"))
    assert isinstance(code, Sparse)
    assert code.parts.streams["places"].bits == 72


def test_the_penalty_thins_out_groups(cnn: nn.Module, training: Data) -> None:
    """More of the norm lies in the groups that stay."""
    train = {"epochs": 1, "learning_rate": 0.05}
    shares = []
    for strength in (0.0, 5e-3):
        found = damaged(cnn, training, sparsity=0, strength=strength, train=train)
        norms = weight_of(found.get_submodule("6")).detach().norm(dim=0).flatten()
        shares.append(float(norms.topk(72).values.sum() / norms.sum()))
    assert shares[1] > shares[0]


def test_half_the_places_lose_less_than_a_point(
    cnn: nn.Module, training: Data, testing: Data
) -> None:
    rate = {"learning_rate": 0.05}
    found = damaged(cnn, training, train=rate | {"epochs": 0.5}, fit=rate | {"epochs": 3})
    assert accuracy(found, testing) > accuracy(cnn, testing) - 0.01
