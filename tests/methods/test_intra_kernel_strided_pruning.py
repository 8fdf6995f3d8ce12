"""Anwar, Hwang and Sung, ACM JETC 2017, arXiv:1512.08571.

The catalogue has the lowered matrix shrink by the stride exactly, which takes kernels whose weights
the stride divides: 3 of 9.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.codes.sparse import Sparse
from compressors.weights._form import code_of
from hwsim.errors import InputError
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 1}}


def strided(model: nn.Module, data: Data, **settings: object) -> nn.Module:
    found = {"fit": {"epochs": 0}} | settings
    plan = uniform(("intra_kernel_strided_pruning", found), keep=["9"])
    return compress(model, plan, data=data)


def test_every_third_weight_stays(cnn: nn.Module, training: Data) -> None:
    for same in (True, False):
        weight = weight_of(strided(cnn, training, same=same).get_submodule("3")).flatten(2)
        before = weight_of(cnn.get_submodule("3")).flatten(2)
        combs = torch.stack([(torch.arange(9) - o) % 3 == 0 for o in range(3)])
        offsets = (weight != 0).float().argmax(2)
        assert torch.equal(weight != 0, combs[offsets])
        if same:
            assert torch.equal(offsets, offsets[:1].expand_as(offsets))
        sums = torch.stack([(before.abs() * comb).sum(2) for comb in combs])
        best = (sums.sum(1, keepdim=True).expand_as(sums) if same else sums).argmax(0)
        assert torch.equal(offsets, best)


def test_groups_have_offsets_of_their_own() -> None:
    """A depthwise layer as so many convolutions of one channel."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(6, 6, 3, groups=6), nn.Flatten(), nn.Linear(6, 3))
    data = Data(images=torch.randn(4, 6, 3, 3), labels=torch.tensor([0, 1, 2, 0]))
    plan = uniform(("intra_kernel_strided_pruning", {"fit": {"epochs": 0}}), keep=["2"])
    found = weight_of(compress(model, plan, data=data).get_submodule("0")).flatten(1)
    before = weight_of(model.get_submodule("0")).detach().abs().flatten(1)
    best = torch.stack([before[:, offset::3].sum(1) for offset in range(3)], 1).argmax(1)
    assert len(set(best.tolist())) > 1
    assert torch.equal((found != 0).float().argmax(1), best)


def test_the_lowered_matrix_shrinks_by_the_stride(cnn: nn.Module, training: Data) -> None:
    """A dense product of the rows that are left is the masked convolution."""
    layer = strided(cnn, training).get_submodule("3")
    assert isinstance(layer, nn.Conv2d)
    rows = (layer.weight != 0).any(0).flatten()
    assert int(rows.sum()) == 72 // 3
    images = torch.randn(2, 8, 7, 9, generator=torch.Generator().manual_seed(0))
    lowered = functional.unfold(images, 3, stride=layer.stride)[:, rows]
    found = layer.weight.flatten(1)[:, rows] @ lowered
    assert torch.allclose(found, layer(images).flatten(2), atol=1e-5)


def test_places_do_not_grow_with_filters(cnn: nn.Module, training: Data) -> None:
    code = code_of(strided(cnn, training).get_submodule("3"))
    assert isinstance(code, Sparse)
    assert code.parts.streams["places"].bits == 8 * 9


def test_free_offsets_keep_more_weight_and_accuracy_returns(
    cnn: nn.Module, training: Data, testing: Data
) -> None:
    fit = {"epochs": 4, "learning_rate": 0.05}
    free = strided(cnn, training, same=False, stride=2, fit=fit)
    assert accuracy(free, testing) > accuracy(cnn, testing) - 0.01


def test_names_a_kernel_that_is_too_small(training: Data) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(512, 10))
    plan = uniform("intra_kernel_strided_pruning", keep=["2"])
    with pytest.raises(InputError, match="'0': intra_kernel_strided_pruning: stride = 3"):
        compress(model, plan, data=training)
