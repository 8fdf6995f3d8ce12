"""Shi, Feng and Zhu, "Functional Hashing for Compressing Neural Networks", arXiv:1605.06560."""

import numpy as np
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.codes.hashed import Hashed, hashes
from compressors.weights._form import code_of
from tests.methods.conftest import accuracy


def test_one_hash_and_nothing_hidden_is_hashednets(mlp: nn.Module, training: Data) -> None:
    """To the bit, training and all."""
    some = training.first(512)
    same = {"fit": {"epochs": 1, "learning_rate": 0.05}}
    alone = {"fetches": 1, "hidden": [], **same}
    functional = compress(mlp, uniform(("functional_hashing", alone)), data=some)
    hashed = compress(mlp, uniform(("hashednets", same)), data=some)
    for path in ("1", "3", "5"):
        layers = functional.get_submodule(path), hashed.get_submodule(path)
        assert torch.equal(*map(weight_of, layers))
        assert code_of(layers[0]).bits() == code_of(layers[1]).bits()


def test_weights_are_what_the_small_network_says() -> None:
    """Eq. 4, in numpy, element by element."""
    draw = torch.Generator().manual_seed(0)
    first = torch.randn(3, 2, generator=draw), torch.randn(3, generator=draw)
    last = torch.randn(1, 3, generator=draw), torch.randn(1, generator=draw)
    values = torch.randn(6, generator=draw)
    code = Hashed((4, 5), values, seed=2, fetches=2, matrices=(first, last))
    buckets, signs = (part.numpy() for part in hashes(20, 6, 2, 2))
    for place, weight in enumerate(code.decode().flatten().tolist()):
        fetched = values.numpy()[buckets[place]] * signs[place]
        hidden = np.tanh(first[0].numpy() @ fetched + first[1].numpy())
        assert np.isclose(weight, (last[0].numpy() @ hidden + last[1].numpy())[0], atol=1e-5)


def test_more_weights_than_values(mlp: nn.Module, training: Data, testing: Data) -> None:
    """And no more memory than HashedNets of the same share."""
    compressed = compress(mlp, uniform("functional_hashing"), data=training)
    layer = compressed.get_submodule("1")
    code = code_of(layer)
    assert isinstance(code, Hashed)
    assert code.bits() == 32 * 3200
    assert len(torch.unique(weight_of(layer).abs())) > 3200
    print(f"funhash: {accuracy(mlp, testing):.3f} -> {accuracy(compressed, testing):.3f}")
    assert accuracy(compressed, testing) > accuracy(mlp, testing) - 0.03
