"""Gudovskiy and Rigazio, arXiv:1706.02393."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.codes.levels import Levels
from compressors.codes.sums import Sums
from compressors.projectors.greedy_powers import GreedyPowers
from compressors.weights._form import code_of
from hwsim.workload import Primitive
from tests.methods.conftest import accuracy


def test_each_term_is_the_nearest_of_its_codebook() -> None:
    weights = torch.randn(64, generator=torch.Generator().manual_seed(0)).clamp(-1.4, 1.4)
    weights[0] = 1.4
    rest = weights.double()
    code = GreedyPowers(terms=3, bits=3).project(weights)
    for n, term in enumerate(code.codes, start=1):
        powers = [2.0 ** (1 - n - m) for m in range(3)]
        book = torch.tensor([0.0, *powers, *(-p for p in powers)], dtype=torch.float64)
        gaps = (rest[:, None] - book).abs()
        assert torch.equal((rest - term.decode()).abs(), gaps.min(1).values)
        rest = rest - term.decode()


@pytest.mark.parametrize(("terms", "bits"), [(1, 4), (2, 4), (3, 4), (2, 3)])
def test_error_is_bounded(terms: int, bits: int) -> None:
    """A residual in the reach of a codebook falls to a third of it, down to the least power."""
    weights = torch.empty(1000).uniform_(-1.5, 1.5, generator=torch.Generator().manual_seed(1))
    weights[0] = 1.5
    error = (GreedyPowers(terms=terms, bits=bits).project(weights).decode() - weights).abs()
    least = 2.0 ** (2 - 2 ** (bits - 1) - (terms - 1)) / 2
    assert torch.all(error <= (weights.abs() / 3**terms).clamp(min=least) + 1e-6)


def test_convolves_by_shifts_and_additions(cnn: nn.Module) -> None:
    """A table of shifted inputs, made once for all filters, gathered and added up."""
    compressed = compress(cnn, uniform("shiftcnn"))
    layer = compressed.get_submodule("3")
    code = code_of(layer)
    assert isinstance(code, Sums)
    assert (code.primitive, code.terms, code.word_bits) == (Primitive.SHIFT_ADD, 2, 9)
    ifmap = torch.randn(1, 8, 5, 5, generator=torch.Generator().manual_seed(2)).double()
    columns = functional.unfold(ifmap, 3)[0]
    total = torch.zeros(16, columns.shape[1], dtype=torch.float64)
    for term in code.codes:
        assert isinstance(term, Levels)
        assert term.scales is not None
        shifted = columns[None] * (term.levels.values * term.scales.item())[:, None, None]
        for k, indices in enumerate(term.indices.flatten(1)):
            total[k] += shifted[indices, torch.arange(72)].sum(0)
    wanted = functional.conv2d(ifmap, weight_of(layer).double()).flatten(2)[0]
    assert torch.allclose(total, wanted, rtol=0, atol=1e-9)


def test_loses_less_than_a_point_without_training(cnn: nn.Module, testing: Data) -> None:
    found = accuracy(compress(cnn, uniform("shiftcnn")), testing)
    assert found > accuracy(cnn, testing) - 0.01
