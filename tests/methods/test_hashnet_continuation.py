"""Cao, Long, Wang and Yu, "HashNet: Deep Learning to Hash by Continuation", ICCV 2017."""

import pytest
import torch
from torch import Tensor, nn

from compressors._compress import compress
from compressors._data import Data
from compressors._plan import uniform
from compressors.activations._quantiser import input_quantiser
from compressors.activations.continued_signs import ContinuedSigns, Settings
from compressors.hashnet_continuation import exact, pairwise_loss
from compressors.quantized_cnn import seen
from tests.methods.conftest import accuracy

SMALL = {"pairs_of": 4}


def mean_average_precision(codes: Tensor, labels: Tensor, queries: int) -> float:
    """Of the first `queries` codes [n, bits] against the rest, by Hamming distance."""
    products = codes[:queries] @ codes[queries:].T
    order = products.argsort(stable=True, dim=1, descending=True)
    hits = (labels[queries:][order] == labels[:queries, None]).double()
    precision = hits.cumsum(1) / torch.arange(1, hits.shape[1] + 1)
    return float(((precision * hits).sum(1) / hits.sum(1)).mean())


def test_curve_becomes_the_sign() -> None:
    draw = torch.Generator().manual_seed(0)
    ifmap, centre = torch.randn(30, 8, generator=draw), torch.randn(8, generator=draw)
    quantiser = ContinuedSigns(Settings(shape=(8,), exact=False))
    quantiser.centre.copy_(centre)
    gaps = []
    for sharpness in (1, 4, 16, 64, 1e6):
        quantiser.sharpness.fill_(sharpness)
        gaps.append(float((quantiser(ifmap) - (ifmap - centre).sign()).abs().mean()))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-3
    assert torch.equal(exact(centre)(ifmap), (ifmap - centre).sign())


def test_pairwise_loss_is_the_weighted_likelihood() -> None:
    """-log of the logistic probability of each pair's likeness, each kind weighing the same."""
    codes = torch.tanh(torch.randn(6, 10, generator=torch.Generator().manual_seed(0)))
    labels = torch.tensor([0, 0, 1, 1, 2, 0])
    total = 0.0
    alike = [[bool(a == b) for b in labels] for a in labels]
    share = sum(map(sum, alike)) / 36
    for i in range(6):
        for j in range(6):
            likely = torch.sigmoid(5 / 10 * (codes[i] @ codes[j]))
            chance = likely if alike[i][j] else 1 - likely
            total -= float(chance.log()) / (share if alike[i][j] else 1 - share) / 36
    assert float(pairwise_loss(codes, labels)) == pytest.approx(total, rel=1e-5)


def test_codes_find_their_like(mlp: nn.Module, training: Data, testing: Data) -> None:
    """Better than as many random projections of the pictures."""
    assert testing.labels is not None
    plan = uniform("hashnet_continuation", keep=["1", "3"])
    compressed = compress(mlp, plan, data=training)
    layer = compressed.get_submodule("5")
    quantiser = input_quantiser(layer)
    assert quantiser is not None
    assert quantiser.bits == 1
    codes, _ = seen(compressed, "5", testing.images)
    assert set(codes.flatten().tolist()) == {-1.0, 1.0}
    draw = torch.randn(256, 50, generator=torch.Generator().manual_seed(0))
    pictures = testing.images.flatten(1)
    random = ((pictures - pictures.mean(0)) @ draw).sign()
    found = [mean_average_precision(one, testing.labels, 200) for one in (codes, random)]
    print("MAP, ours and random:", *found, "accuracy", accuracy(compressed, testing))
    assert found[0] > found[1] + 0.2
    assert accuracy(compressed, testing) > accuracy(mlp, testing) - 0.03
