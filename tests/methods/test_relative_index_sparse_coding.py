"""Han, Mao and Dally, "Deep Compression", ICLR 2016, Sec. 2."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from compressors._compress import compress
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.codes.dense import Dense
from compressors.codes.sparse import Sparse
from compressors.relative_index_sparse_coding import smallest
from compressors.weights._form import code_of
from hwsim.errors import InputError


def thinned(density: float, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    weights = torch.randn(64, 100, generator=draw)
    return weights * (torch.rand(weights.shape, generator=draw) < density)


@pytest.mark.parametrize("density", [0.01, 0.1, 0.5, 0.9])
def test_bits_are_what_the_formats_say(density: float) -> None:
    weights = thinned(density)
    mask, flat = weights != 0, weights.flatten().numpy()
    nonzeros, fillers, run = int(mask.sum()), 0, 0
    for value in flat:
        run = 0 if value else run + 1
        if run == 32:
            fillers, run = fillers + 1, 0
    trailing = run_after_last(flat) // 32
    wanted = {
        "bitmap": 6400 + 32 * nonzeros,
        "relative_index": (nonzeros + fillers - trailing) * (5 + 32),
        "csr": nonzeros * (7 + 32) + 65 * nonzeros.bit_length(),
    }
    codes = {one: Sparse(mask, Dense(weights), places=one, index_bits=5) for one in wanted}  # type: ignore[arg-type]
    assert {one: code.bits() for one, code in codes.items()} == wanted
    assert smallest(codes["csr"], list(wanted)) == min(wanted, key=lambda one: wanted[one])  # type: ignore[arg-type]


def run_after_last(flat: NDArray[np.float32]) -> int:
    """Zeros after the last non-zero, which are not stored."""
    last = max(place for place, value in enumerate(flat) if value)
    return len(flat) - 1 - last


def test_formats_cross_over_with_density() -> None:
    """A bit an element against 5 a non-zero: at a fifth; and 7 a non-zero against filling zeros."""
    for density, wanted in ((0.02, "csr"), (0.15, "relative_index"), (0.25, "bitmap")):
        weights = thinned(density)
        code = Sparse(weights != 0, Dense(weights), index_bits=5)
        assert smallest(code, ("relative_index", "bitmap", "csr")) == wanted


def test_layers_choose_for_themselves(cnn: nn.Module) -> None:
    for path, density in (("3", 0.05), ("6", 0.6)):
        weight = weight_of(cnn.get_submodule(path)).data
        limit = weight.abs().flatten().quantile(1 - density)
        weight *= weight.abs() > limit
    plan = uniform("kmeans_weight_sharing", "relative_index_sparse_coding", keep=["0", "9"])
    compressed = compress(cnn, plan)
    found = [code_of(compressed.get_submodule(path)) for path in ("3", "6")]
    assert all(isinstance(code, Sparse) for code in found)
    assert [code.decoders[0] for code in found] == ["relative_index", "bitmap"]
    assert torch.equal(found[0].decode() != 0, weight_of(cnn.get_submodule("3")) != 0)
    chosen = compress(
        cnn, uniform(("relative_index_sparse_coding", {"places": ["relative_index"]}))
    )
    conv, linear = (code_of(chosen.get_submodule(path)) for path in ("3", "9"))
    assert isinstance(conv, Sparse)
    assert isinstance(linear, Sparse)
    assert (conv.places, conv.index_bits) == ("relative_index", 8)
    assert linear.index_bits == 5


def test_refuses_what_has_no_zeros(mlp: nn.Module) -> None:
    plan = uniform("product_quantization", "relative_index_sparse_coding")
    with pytest.raises(InputError, match="'1': relative_index_sparse_coding: product has no"):
        compress(mlp, plan)
