"""Wu, Leng, Wang, Hu and Cheng, "Quantized Convolutional Neural Networks", CVPR 2016."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.codes.product import Product
from compressors.execution.lookup import looked_up, work
from compressors.projectors.product import ProductKMeans
from compressors.quantized_cnn import seen
from compressors.training.response import corrected, patches, response
from compressors.weights._form import code_of
from hwsim.workload import Primitive
from tests.methods.conftest import accuracy

SMALL = {"convolution_bits": 2, "linear_bits": 2, "images": 4}


def layers() -> list[tuple[nn.Module, torch.Tensor]]:
    """Layers of all kinds, and ifmaps for them."""
    torch.manual_seed(0)
    return [
        (nn.Conv2d(6, 8, (3, 2), stride=(1, 2), padding=(2, 1)), torch.randn(4, 6, 5, 7)),
        (nn.Conv2d(4, 6, (2, 3), dilation=(1, 2), groups=2, bias=False), torch.randn(3, 4, 6, 8)),
        (nn.Conv1d(5, 4, 3, padding="same"), torch.randn(3, 5, 9)),
        (nn.Linear(7, 5), torch.randn(20, 7)),
    ]


@pytest.mark.parametrize("number", range(4))
def test_quadratic_form_is_the_error_of_the_response(number: int) -> None:
    """Against the layer itself, with other weights."""
    layer, ifmaps = layers()[number]
    with torch.no_grad():
        wanted = response(layer, ifmaps, layer(ifmaps))
        before = layer(ifmaps)
        weight_of(layer).data += 0.1 * torch.randn_like(weight_of(layer))
        error = float((layer(ifmaps) - before).double().square().sum())
    assert wanted.error(weight_of(layer).detach()) == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("number", range(4))
def test_correction_lowers_the_error_round_by_round(number: int) -> None:
    layer, ifmaps = layers()[number]
    with torch.no_grad():
        wanted = response(layer, ifmaps, layer(ifmaps))
    code = ProductKMeans(length=2, bits=2).project(weight_of(layer).detach())
    errors = [wanted.error(corrected(code, wanted, rounds=n).decode()) for n in range(4)]
    assert errors[0] == pytest.approx(wanted.error(code.decode()))
    assert errors[1] < 0.95 * errors[0]
    for earlier, later in pairwise(errors):
        assert later <= earlier + 1e-4


def test_no_row_of_a_codebook_is_better_nearby() -> None:
    """Least squares: moving any entry, all else fixed, cannot lower the error."""
    layer, ifmaps = layers()[3]
    with torch.no_grad():
        wanted = response(layer, ifmaps, layer(ifmaps))
    code = ProductKMeans(length=7, bits=1).project(weight_of(layer).detach())
    found = corrected(code, wanted, rounds=1)
    least = wanted.error(found.decode())
    for entry in range(found.table.numel()):
        for step in (-0.02, 0.02):
            table = found.table.clone()
            table.view(-1)[entry] += step
            moved = Product(found.indices, table, channels=7, length=7)
            assert wanted.error(moved.decode()) > least


def test_tables_give_what_the_weights_give(cnn: nn.Module, testing: Data) -> None:
    settings = {"rounds": 0}
    plan = uniform(("quantized_cnn", settings))
    compressed = compress(cnn, plan, data=testing.first(8))
    for path in ("3", "9"):
        layer = compressed.get_submodule(path)
        code = code_of(layer)
        assert isinstance(code, Product)
        assert code.primitive is Primitive.LOOKUP_ADD
        ifmap, ofmap = seen(compressed, path, testing.images[:3])
        found = looked_up(code, patches(layer, ifmap)[0])
        if layer.bias is not None:
            found = found + layer.get_parameter("bias").detach()
        flat = ofmap.flatten(2).movedim(1, 2).reshape(-1, code.shape[0]) if path == "3" else ofmap
        assert torch.allclose(found.float(), flat, atol=1e-4)


def test_counts_follow_the_formula() -> None:
    """For d_h x d_w places: k C multiplications an input, C_t M k_h k_w look-ups an output."""
    code = ProductKMeans(length=4, bits=5).project(torch.randn(64, 16, 3, 2))
    found = work(code, inputs=100, outputs=80)
    assert (found.multiplications, found.lookups) == (100 * 32 * 16, 80 * 64 * 4 * 3 * 2)


def test_correction_keeps_the_network(cnns: list[nn.Module], training: Data, testing: Data) -> None:
    """The mean of three networks."""
    before, found = sum(accuracy(one, testing) for one in cnns) / len(cnns), []
    for rounds in (0, 2):
        settings = {"rounds": rounds, "convolution_bits": 5, "linear_length": 4, "images": 200}
        plan = uniform(("quantized_cnn", settings))
        parts = [accuracy(compress(one, plan, data=training), testing) for one in cnns]
        found.append(sum(parts) / len(parts))
    print("q-cnn: float, plain, corrected:", before, *found)
    assert found[1] > found[0]
    assert found[1] > before - 0.02
