"""Dettmers, ICLR 2016, arXiv:1511.04561."""

import pytest
import torch
from torch import Tensor, nn

from compressors._compress import compress
from compressors._data import Data
from compressors._plan import uniform
from compressors.dettmers_8bit import exchanging_gradients, exchanging_ofmaps
from compressors.gradients.eight_bits import EightBits, Kind
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 0.1}}
KINDS: list[Kind] = ["linear", "mantissa", "static_tree", "dynamic_tree"]


def dynamic_tree(word: int) -> float:
    """The number of 7 bits: zeros up to the first one, which says where the fraction begins."""
    if word == 0:
        return 0.0
    exponent = 7 - word.bit_length()
    width = 6 - exponent
    fraction = word & ((1 << width) - 1)
    return float(10.0**-exponent * (0.1 + 0.9 * (fraction + 1) / 2**width))


def test_the_dynamic_tree_is_what_its_bits_say() -> None:
    wanted = sorted(dynamic_tree(word) for word in range(128))
    table = EightBits(kind="dynamic_tree").table
    assert torch.allclose(table[127:], torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_words_go_there_and_back(kind: Kind) -> None:
    words = EightBits(kind=kind)
    table = words.table
    assert len(table) <= 256
    assert torch.all(table.diff() > 0)
    assert torch.equal(table, -table.flip(0))
    assert float(table[-1]) == 1
    codes, largest = words.encode(table.float() * 3)
    assert torch.equal(codes.long(), torch.arange(len(table)))
    assert torch.equal(words.decode(codes, largest), (table * 3).float())
    numbers = torch.randn(500, generator=torch.Generator().manual_seed(0))
    unit = numbers.double() / float(numbers.abs().max())
    wanted = (unit[:, None] - table).abs().min(1).values * float(numbers.abs().max())
    assert torch.allclose((words(numbers) - numbers).abs().double(), wanted, atol=1e-6)
    assert not words(torch.zeros(4)).any()


def relative_error(kind: Kind, numbers: Tensor) -> float:
    return float(((EightBits(kind=kind)(numbers) - numbers) / numbers).abs().mean())


def test_trees_follow_numbers_of_many_sizes() -> None:
    numbers = torch.randn(20000, generator=torch.Generator().manual_seed(0)).mul(2).exp()
    found = {kind: relative_error(kind, numbers) for kind in KINDS}
    assert found["dynamic_tree"] < found["linear"] / 2
    assert found["static_tree"] < found["linear"] / 2


def test_a_quarter_of_the_bytes() -> None:
    numbers = torch.randn(1000, 50)
    words = EightBits()
    codes, _ = words.encode(numbers)
    assert codes.element_size() * codes.numel() + 4 == words.transfer_bytes(numbers)
    assert words.transfer_bytes(numbers) / (numbers.numel() * 4) == pytest.approx(0.25, abs=1e-3)


def test_what_is_exchanged() -> None:
    """Gradients in data parallelism; ofmaps and their gradients in model parallelism."""
    layer, ifmap, words = nn.Linear(6, 5), torch.randn(3, 6), EightBits()
    weighing = torch.randn(3, 5)
    torch.autograd.backward((layer(ifmap) * weighing).sum())
    assert layer.weight.grad is not None
    wanted = words(layer.weight.grad)
    exchanging_gradients([layer], words)(0)
    assert torch.equal(layer.weight.grad, wanted)
    layer.zero_grad()
    with exchanging_ofmaps([layer], words):
        ofmap = layer(ifmap)
        torch.autograd.backward((ofmap * weighing).sum())
    assert torch.equal(ofmap, words(layer(ifmap)))
    assert torch.allclose(layer.weight.grad, words(weighing).T @ ifmap, atol=1e-6)


@pytest.mark.parametrize("parallelism", ["data", "model"])
def test_trains_as_with_32_bits(
    mlp: nn.Module, training: Data, testing: Data, parallelism: str
) -> None:
    fit = {"epochs": 1}
    settings = {"parallelism": parallelism, "fit": fit}
    found = compress(mlp, uniform(("dettmers_8bit", settings)), data=training)
    assert accuracy(found, testing) > accuracy(mlp, testing) - 0.005
