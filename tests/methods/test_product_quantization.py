"""Jegou, Douze and Schmid, "Product Quantization for Nearest Neighbor Search", TPAMI 2011."""

import numpy as np
import pytest
import torch
from scipy.cluster.vq import kmeans2
from torch import nn

from compressors._compress import compress
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.codes.product import Product
from compressors.projectors.product import ProductKMeans, clusters
from compressors.weights._form import code_of, latent_of
from hwsim.errors import InputError

WEIGHTS = torch.randn(40, 10, 3, 2, generator=torch.Generator().manual_seed(0))


def test_codes_have_the_published_bits() -> None:
    """k = 2^8 and m = 8 take 64 bits for each vector, a row of the weight."""
    weights = torch.randn(300, 32, generator=torch.Generator().manual_seed(0))
    code = ProductKMeans(length=4, bits=8).project(weights)
    assert tuple(code.indices.shape) == (300, 8)
    assert code.bits() == 300 * 64 + 256 * 32 * 32


def test_inner_products_by_tables() -> None:
    """The products of an input with all centroids once, looked up and added for every filter."""
    weights = torch.randn(50, 10, generator=torch.Generator().manual_seed(0))
    code = ProductKMeans(length=3, bits=4).project(weights)
    ifmap = torch.randn(10, generator=torch.Generator().manual_seed(1)).double()
    runs = [slice(at, at + code.length) for at in range(0, 10, code.length)]
    tables = [code.table[:, run].double() @ ifmap[run] for run in runs]
    found = sum(table[code.indices[:, m]] for m, table in enumerate(tables))
    assert isinstance(found, torch.Tensor)
    assert torch.allclose(found, code.decode().double() @ ifmap, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shared", [False, True])
def test_each_run_is_the_nearest_of_its_codebook(shared: bool) -> None:
    """And the error is the sum of the runs' errors, found here run by run."""
    weights = WEIGHTS[:, :8]
    code = ProductKMeans(length=4, bits=5, shared=shared).project(weights)
    runs = [range(at, at + 4) for at in (0, 4)]
    total = 0.0
    for run in runs:
        columns = [c % code.table.shape[1] for c in run]
        vectors = weights[:, list(run)].movedim(1, -1).reshape(-1, len(run))
        total += float(torch.cdist(vectors, code.table[:, columns]).min(1).values.square().sum())
    assert float((code.decode() - weights).square().sum()) == pytest.approx(total, rel=1e-3)


def test_clusters_as_well_as_scipy() -> None:
    vectors = torch.randn(400, 4, generator=torch.Generator().manual_seed(0)).double()
    (centres,), (members,) = clusters(vectors[None], 16, seed=0)
    ours = float((vectors - centres[members]).square().sum())
    found, labels = kmeans2(vectors.numpy(), 16, iter=100, minit="++", seed=0)
    assert ours < 1.05 * float(np.square(vectors.numpy() - found[labels]).sum())


def test_errors_fall_with_the_budget_and_codes_stay() -> None:
    errors = []
    for bits in (2, 4, 6, 8):
        code = ProductKMeans(length=4, bits=bits).project(WEIGHTS)
        errors.append(float((code.decode() - WEIGHTS).square().sum()))
        again = ProductKMeans(length=4, bits=bits).project(code.decode())
        assert torch.equal(again.decode(), code.decode())
    assert errors == sorted(errors, reverse=True)


def test_codebooks_train_by_the_sum_of_their_gradients(cnn: nn.Module) -> None:
    compressed = compress(cnn, uniform("product_quantization"))
    layer = compressed.get_submodule("3")
    code, weight = code_of(layer), weight_of(layer)
    assert isinstance(code, Product)
    weight.retain_grad()
    torch.autograd.backward(nn.functional.conv2d(torch.randn(2, 8, 5, 6), weight).square().sum())
    assert weight.grad is not None
    wanted = torch.zeros_like(code.table)
    for place, gradient in np.ndenumerate(weight.grad.numpy()):
        run = (place[0], place[1] // code.length, *place[2:])
        wanted[code.indices[run], place[1]] += float(gradient)
    found = latent_of(layer).grad
    assert found is not None
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_refuses_pruned_layers(mlp: nn.Module) -> None:
    plan = uniform("relative_index_sparse_coding", "product_quantization")
    with pytest.raises(InputError, match="'1': product_quantization: it is pruned"):
        compress(mlp, plan)
