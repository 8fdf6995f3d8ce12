"""Han, Mao and Dally, "Deep Compression", ICLR 2016."""

import json

import numpy as np
import pytest
import torch
from scipy.cluster.vq import kmeans2
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._fit import Fit, fit
from compressors._layers import weight_of, weighted_layers
from compressors._plan import uniform
from compressors.codes._bytes import code_of_bytes, header, payload
from compressors.codes.huffman import Huffman
from compressors.codes.sparse import Sparse
from compressors.weights._form import code_of
from data import fashion_mnist
from tests.methods.conftest import accuracy


def weight_bytes(model: nn.Module) -> int:
    """Bytes of all weights as they are coded."""
    return sum(len(payload(code_of(layer))) for layer in weighted_layers(model).values())


def dense_bytes(model: nn.Module) -> int:
    """Bytes of all weights in float32."""
    return sum(4 * weight_of(layer).numel() for layer in weighted_layers(model).values())


def test_files_decode_to_the_same_network(cnn: nn.Module, training: Data, testing: Data) -> None:
    compressed = compress(cnn, uniform("deep_compression"), data=training.first(1000))
    for path, layer in weighted_layers(compressed).items():
        code = code_of(layer)
        read = code_of_bytes(json.loads(json.dumps(header(code))), payload(code))
        weight_of(cnn.get_submodule(path)).data.copy_(read.decode())
        assert torch.equal(read.decode(), weight_of(layer))
    for kept in ("1", "4"):  # batch normalisation was trained, too
        cnn.get_submodule(kept).load_state_dict(compressed.get_submodule(kept).state_dict())
    for path in ("6", "9"):
        bias = compressed.get_submodule(path).get_parameter("bias")
        cnn.get_submodule(path).get_parameter("bias").data.copy_(bias)
    assert torch.equal(cnn(testing.images[:50]), compressed(testing.images[:50]))


def test_stages_are_the_published_ones(cnn: nn.Module, training: Data) -> None:
    settings = {"linear_keep": 0.2, "pruning_fit": {"epochs": 0.2}, "sharing_fit": {"epochs": 0.2}}
    compressed = compress(cnn, uniform(("deep_compression", settings)), data=training.first(1000))
    layers = weighted_layers(compressed)
    for kind, keep in ((("0", "3", "6"), 0.35), (("9",), 0.2)):
        found = [code_of(layers[path]).decode() for path in kind]
        most = round(keep * sum(one.numel() for one in found))
        assert 0 < sum(int(one.count_nonzero()) for one in found) <= most
    for path, bits in (("3", 8), ("9", 5)):
        code = code_of(compressed.get_submodule(path))
        assert isinstance(code, Huffman)
        assert isinstance(code.inner, Sparse)
        assert len(code.decode().unique()) <= 2**bits  # type: ignore[no-untyped-call]
        parts = code.parts
        assert code.bits() == sum(s.bits for s in parts.streams.values()) + 32 * sum(
            table.numel() for table in parts.tables.values()
        )
        assert code.bits() <= code.inner.bits()


def test_values_are_shared_by_what_pruning_has_left() -> None:
    """Untrained, by numpy and scipy: one threshold for all layers of a kind, then k-means of the
    survivors of each; one of the 2^bits entries is zero, and those that nothing is near to go.
    """
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 40), nn.ReLU(), nn.Linear(40, 8))
    settings = {"linear_keep": 0.4, "linear_bits": 3, "rounds": 1}
    settings |= {"pruning_fit": {"epochs": 0}, "sharing_fit": {"epochs": 0}}  # type: ignore[dict-item]
    data = Data(images=torch.randn(9, 20), labels=torch.arange(9) % 8)
    found = compress(model, uniform(("deep_compression", settings)), data=data)
    weights = [weight_of(model[n]).detach().double().numpy() for n in (0, 2)]
    sizes = np.sort(np.concatenate([np.abs(weight).ravel() for weight in weights]))[::-1]
    for weight, path in zip(weights, ("0", "2"), strict=True):
        stays = np.abs(weight) >= sizes[round(0.4 * len(sizes)) - 1]
        left = weight[stays][:, None]
        begin = np.linspace(left.min(), left.max(), 7)[:, None]
        begin = begin[np.unique(np.abs(left - begin.T).argmin(1))]
        table, members = kmeans2(left, begin, iter=300, minit="matrix", missing="raise")
        wanted = np.zeros_like(weight)
        wanted[stays] = table[members, 0]
        assert np.allclose(code_of(found.get_submodule(path)).decode().numpy(), wanted, atol=1e-5)


def test_small_network_loses_little(mlp: nn.Module, training: Data, testing: Data) -> None:
    settings = {"pruning_fit": {"epochs": 2, "learning_rate": 0.05}}
    compressed = compress(mlp, uniform(("deep_compression", settings)), data=training)
    ratio = dense_bytes(mlp) / weight_bytes(compressed)
    found = accuracy(compressed, testing)
    print(f"deep compression: {accuracy(mlp, testing):.3f} -> {found:.3f}, {ratio:.1f} x")
    assert ratio > 25
    assert found > accuracy(mlp, testing) - 0.015


@pytest.mark.slow
def test_lenet_300_100() -> None:
    """Published: 40 x without loss, on digits; clothes are harder."""
    some = fashion_mnist.load(limit=10000)
    images = some.images[:, :, 2:30, 2:30]  # without their margins
    training = Data(images=images[:6000], labels=some.labels[:6000])
    testing = Data(images=images[6000:], labels=some.labels[6000:])
    assert training.labels is not None
    torch.manual_seed(0)
    layers = (nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    model = nn.Sequential(nn.Flatten(), *layers)
    fit(model, training.images, training.labels, Fit(epochs=6, learning_rate=0.05))
    settings = {"linear_keep": 0.08, "pruning_fit": {"epochs": 6, "learning_rate": 0.05}}
    compressed = compress(model, uniform(("deep_compression", settings)), data=training)
    ratio = dense_bytes(model) / weight_bytes(compressed)
    found = accuracy(compressed, testing)
    print(f"LeNet-300-100: {accuracy(model, testing):.3f} -> {found:.3f}, {ratio:.1f} x")
    assert ratio > 35
    assert found > accuracy(model, testing) - 0.005
