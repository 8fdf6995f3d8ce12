"""Guo, Yao, Zhao and Chen, "Network Sketching", CVPR 2017."""

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.codes.levels import Levels
from compressors.codes.sums import Sums
from compressors.execution.associative import associative
from compressors.projectors._projector import Scope
from compressors.projectors.residual_signs import ResidualSigns
from compressors.weights._form import code_of
from hwsim.errors import InputError
from hwsim.workload import Primitive
from tests.methods.conftest import accuracy

WEIGHTS = torch.randn(6, 5, 3, 2, generator=torch.Generator().manual_seed(0))


def planes(code: Sums) -> np.ndarray:
    """Signs [filters, terms, elements]."""
    terms = [term.indices.flatten(1) * 2 - 1 for term in code.codes if isinstance(term, Levels)]
    return torch.stack(terms, 1).numpy()


@pytest.mark.parametrize("refined", [False, True])
def test_error_is_bounded(refined: bool) -> None:
    """|E|^2 <= |W|^2 (1 - 1 / t)^m for filters of t weights and m terms (Theorem 1)."""
    size = WEIGHTS[0].numel()
    for terms in range(1, 6):
        code = ResidualSigns(terms=terms, refined=refined).project(WEIGHTS)
        errors = (code.decode() - WEIGHTS).flatten(1).square().sum(1)
        bound = WEIGHTS.flatten(1).square().sum(1) * (1 - 1 / size) ** terms
        assert torch.all(errors <= bound)


def test_refined_scales_are_those_of_least_squares() -> None:
    direct = ResidualSigns(terms=4, refined=False).project(WEIGHTS).decode()
    code = ResidualSigns(terms=4).project(WEIGHTS)
    for k, signs in enumerate(planes(code)):
        target = WEIGHTS[k].flatten().double().numpy()
        scales = np.linalg.lstsq(signs.T.astype(float), target, rcond=None)[0]
        assert np.allclose(code.decode()[k].flatten().numpy(), signs.T @ scales, atol=1e-6)
    assert float((code.decode() - WEIGHTS).square().sum()) < float(
        (direct - WEIGHTS).square().sum()
    )


def test_direct_scales_are_the_mean_agreement() -> None:
    code = ResidualSigns(terms=3, refined=False).project(WEIGHTS)
    rest = WEIGHTS.double().flatten(1).numpy()
    for term, signs in enumerate(np.moveaxis(planes(code), 1, 0)):
        assert np.array_equal(signs, np.where(rest >= 0, 1, -1))
        means = np.abs(rest).mean(1, keepdims=True)
        found = code.codes[term].decode().double().flatten(1).numpy()
        assert np.allclose(found, signs * means)
        rest = rest - found


def sketch(weights: NDArray[np.float64], terms: int, *, refined: bool) -> NDArray[np.float64]:
    """Alg. 1, or 2, of one filter: the terms, each its scale times its signs."""
    signs = np.empty((0, len(weights)))
    scales: NDArray[Any] = np.empty(0)
    for _ in range(terms):
        rest = weights - scales @ signs
        signs = np.vstack([signs, np.where(rest >= 0, 1, -1)])
        fitted = np.linalg.lstsq(signs.T, weights, rcond=None)[0]
        scales = fitted if refined else np.append(scales, signs[-1] @ rest / len(weights))
    return scales[:, None] * signs


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize("scope", ["layer", "filter"])
def test_sketches_are_those_of_the_algorithms(scope: Scope, refined: bool) -> None:
    """Term by term: signs of what the scales before, fitted anew where refined, have left."""
    code = ResidualSigns(terms=4, refined=refined, scope=scope).project(WEIGHTS)
    found = np.stack([term.decode().double().numpy() for term in code.codes])
    rows = WEIGHTS.double().numpy().reshape(1 if scope == "layer" else 6, -1)
    wanted = np.stack([sketch(row, 4, refined=refined) for row in rows], 1)
    assert np.allclose(found, wanted.reshape(found.shape), atol=1e-6)


@settings(max_examples=50)
@given(st.lists(st.integers(-9, 9), min_size=4, max_size=6), st.booleans())
def test_no_other_signs_are_better(numbers: list[int], refined: bool) -> None:
    """One term, against all signs, each with its best scale; more lower the error as in Theorem 1,
    zeros and equal weights among them.
    """
    weights = np.array(numbers, dtype=float)
    every = np.array([*product((-1, 1), repeat=len(weights))])
    least = weights @ weights - ((every @ weights) ** 2).max() / len(weights)
    errors = []
    for terms in range(1, 5):
        code = ResidualSigns(terms=terms, refined=refined).project(torch.tensor([numbers]).float())
        errors.append(float(np.square(code.decode()[0].numpy() - weights).sum()))
        bound = weights @ weights * (1 - 1 / len(weights)) ** terms
        assert errors[-1] <= min(errors[0], bound) + 1e-4
    assert errors[0] == pytest.approx(least, abs=1e-4)
    assert all(b <= a + 1e-4 for a, b in pairwise(errors))


def test_shared_additions_give_the_same_sums() -> None:
    """Of a layer's binary tensors, and with fewer additions than without sharing."""
    code = ResidualSigns(terms=3).project(WEIGHTS)
    signs = planes(code).reshape(-1, WEIGHTS[0].numel()).astype(np.int8)
    plan = associative(signs)
    ifmap = np.random.default_rng(0).normal(size=(signs.shape[1], 7))
    assert np.allclose(plan.sums(ifmap), signs @ ifmap)
    tree = [(v, p) for v, p in enumerate(plan.parents) if p >= 0]
    counted = sum(int((signs[v] != signs[p]).sum()) + 1 for v, p in tree)
    assert plan.additions == counted + signs.shape[1] - 1 < signs.size - len(signs)
    assert associative(signs[:1]).additions == signs.shape[1] - 1
    assert associative(signs[[0, 0]]).additions == signs.shape[1]


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_no_other_order_takes_fewer_additions(vectors: int, elements: int, seed: int) -> None:
    """All trees over the vectors, by their Pruefer sequences; an edge costs d + 1, the first sum
    one less than its elements.
    """
    signs = np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (vectors, elements))
    least = elements * vectors * 9
    for sequence in product(range(vectors), repeat=vectors - 2):
        edges = tree_of(sequence, vectors)
        cost = sum(int((signs[a] != signs[b]).sum()) + 1 for a, b in edges)
        least = min(least, cost + elements - 1)
    plan = associative(signs)
    assert plan.additions == least
    ifmap = np.arange(1.0, elements + 1)
    assert np.allclose(plan.sums(ifmap), signs @ ifmap)


def tree_of(sequence: tuple[int, ...], count: int) -> list[tuple[int, int]]:
    """The edges of the tree with this Pruefer sequence."""
    degrees = [1 + sequence.count(one) for one in range(count)]
    edges = []
    for one in sequence:
        leaf = degrees.index(1)
        edges.append((leaf, one))
        degrees[leaf], degrees[one] = 0, degrees[one] - 1
    first = degrees.index(1)
    return [*edges, (first, degrees.index(1, first + 1))]


def test_layers_add_once_a_term(mlp: nn.Module, testing: Data) -> None:
    found = []
    for terms in (1, 2, 3):
        compressed = compress(mlp, uniform(("network_sketching", {"terms": terms})))
        code = code_of(compressed.get_submodule("1"))
        assert (code.primitive, code.terms) == (Primitive.ADD, terms)
        # Terms of unlike scales add up to no word of few bits.
        assert code.word_bits == (1 if terms == 1 else None)
        assert code.bits() == terms * (256 * 100 + 100 * 32)
        found.append(accuracy(compressed, testing))
    print("float, 1, 2, 3 terms:", accuracy(mlp, testing), *found)
    assert found == sorted(found)
    assert found[2] > accuracy(mlp, testing) - 0.03


def test_refuses_pruned_layers(mlp: nn.Module) -> None:
    assert weight_of(mlp.get_submodule("1")).all()
    with pytest.raises(InputError, match="'1': network_sketching: it is pruned"):
        compress(mlp, uniform("relative_index_sparse_coding", "network_sketching"))
