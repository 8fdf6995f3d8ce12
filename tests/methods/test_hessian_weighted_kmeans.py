"""Choi, El-Khamy and Lee, "Towards the Limit of Network Quantization", ICLR 2017."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from compressors._compress import compress
from compressors._curvature import curvature
from compressors._data import Data
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from compressors.codes.huffman import code_lengths
from compressors.projectors.entropy_constrained import at_rate, entropy_bits, uniform_cells
from compressors.projectors.kmeans import KMeans, centroids, nearest, starts
from compressors.weights._form import code_of
from tests.methods.conftest import cross_entropy

VALUES = torch.randn(1500, generator=torch.Generator().manual_seed(0)).double()
EQUAL = torch.ones_like(VALUES)
SMALL = {"bits": 2, "images": 4}


def test_curvature_is_the_gauss_newton_diagonal() -> None:
    """J^T (diag(p) - p p^T) J of a network with batch-norm, by autograd's whole Jacobian."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, (2, 3)), nn.BatchNorm2d(3), nn.Flatten()).eval()
    model.append(nn.Linear(3 * 2 * 2, 4))
    images = torch.randn(5, 2, 3, 4)
    found = curvature(model, ["0", "3"], Data(images=images), "gauss_newton")
    wanted = torch.zeros_like(weight_of(model[0]))

    def logits(weight: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        chosen: torch.Tensor = torch.func.functional_call(model, {"0.weight": weight}, image[None])
        return chosen[0]

    for image in images:
        slopes = torch.func.jacrev(logits)(weight_of(model[0]).detach(), image).flatten(1)
        p = functional.softmax(model(image[None])[0], 0).detach()
        matrix = slopes.T @ (torch.diag(p) - p[:, None] * p) @ slopes
        wanted += matrix.diag().reshape(wanted.shape) / len(images)
    assert torch.allclose(found["0"], wanted, rtol=1e-3, atol=1e-7)


def test_equal_importance_is_plain_kmeans(mlp: nn.Module, training: Data) -> None:
    settings = {"importance": "equal", "together": False, "bits": 3}
    compressed = compress(mlp, uniform(("hessian_weighted_kmeans", settings)), data=training)
    for path, layer in weighted_layers(mlp).items():
        plain = KMeans(bits=3).project(weight_of(layer).detach()).decode()
        assert torch.equal(weight_of(compressed.get_submodule(path)), plain)


def test_importance_lowers_the_weighted_error_and_the_loss(mlp: nn.Module, training: Data) -> None:
    some = training.first(256)
    importance = curvature(mlp, ["1", "3", "5"], some, "squared_gradients")
    losses, errors = [], []
    for kind in ("equal", "squared_gradients"):
        settings = {"importance": kind, "bits": 3, "images": 256}
        compressed = compress(mlp, uniform(("hessian_weighted_kmeans", settings)), data=some)
        losses.append(cross_entropy(compressed, some))
        pairs = [(compressed.get_submodule(p), mlp.get_submodule(p), p) for p in importance]
        gaps = [
            importance[p] * (weight_of(a) - weight_of(b)).detach().square() for a, b, p in pairs
        ]
        errors.append(sum(float(gap.sum()) for gap in gaps))
    print("weighted errors", errors, "losses", losses, "from", cross_entropy(mlp, some))
    assert errors[1] < errors[0]
    assert losses[1] < losses[0]


def test_entropy_constraint_beats_kmeans_at_equal_error() -> None:
    table = centroids(VALUES, 8)
    plain = nearest(VALUES, table)
    error = float((VALUES - table[plain]).square().mean())
    found, members = at_rate(
        VALUES, EQUAL, starts(VALUES, 32, start="linear"), rate_bits=entropy_bits(plain)
    )
    assert entropy_bits(members) <= entropy_bits(plain)
    assert float((VALUES - found[members]).square().mean()) < error


def test_rates_are_near_the_limit_for_gaussians() -> None:
    """Uniform cells of high rate lose 1.53 dB, 0.254 bits, to Shannon's bound; at low rates less.

    Gish and Pierce, 1968.
    """
    for rate in (1.0, 2.5):
        start = starts(VALUES, 32, start="linear")
        table, members = at_rate(VALUES, EQUAL, start, rate_bits=rate)
        error = float((VALUES - table[members]).square().mean())
        shannon = 0.5 * np.log2(float(VALUES.var()) / error)
        assert rate - 0.1 < entropy_bits(members) <= rate
        assert shannon < entropy_bits(members) < shannon + 0.30
    table, members = uniform_cells(VALUES, EQUAL, 32)
    shannon = 0.5 * np.log2(1 / float((VALUES - table[members]).square().mean()))
    assert entropy_bits(members) < shannon + 0.30


def test_codes_come_near_the_rate(mlp: nn.Module, training: Data) -> None:
    settings = {"quantiser": "entropy_constrained", "importance": "squared_gradients"}
    settings |= {"rate_bits": 2.0, "images": 128}  # type: ignore[dict-item]
    compressed = compress(mlp, uniform(("hessian_weighted_kmeans", settings)), data=training)
    code = code_of(compressed.get_submodule("1"))
    _, counts = torch.unique(code.decode(), return_counts=True)
    words = int((code_lengths(counts.numpy()) * counts.numpy()).sum())
    assert words < code.bits() < 2.6 * 25600
    assert code.decoders == ("huffman", "codebook")
