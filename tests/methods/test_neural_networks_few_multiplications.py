"""Lin, Courbariaux, Memisevic and Bengio, ICLR 2016, arXiv:1510.03009.

That the drawn weights average to the latents is in test_binaryconnect.py.
"""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.gradients import _backward
from compressors.gradients._backward import split_gradients
from compressors.gradients.powers import Powers
from compressors.weights._form import code_of
from hwsim.workload import Primitive
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 0.1}}
METHOD = "neural_networks_few_multiplications"


def is_power(numbers: Tensor) -> Tensor:
    """Where a number is zero or, up to its sign, a power of two."""
    mantissas, _ = torch.frexp(numbers)
    return (numbers == 0) | (mantissas.abs() == 0.5)


def test_nearest_exponents_within_the_limits() -> None:
    numbers = torch.tensor([0.0, 1.0, -1.4, 1.42, 3.0, -6.0, 0.02, 0.001])
    wanted = torch.tensor([0.0, 1.0, -1.0, 2.0, 4.0, -8.0, 0.0, 0.0])
    assert torch.equal(Powers(depth=5)(numbers), wanted)
    drawn = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    found = Powers(depth=20)(drawn)
    assert is_power(found).all()
    ratio = (found / drawn).log2().abs()
    assert float(ratio[found != 0].max()) <= 0.5 + 1e-6
    assert not Powers()(torch.zeros(3)).any()


@pytest.mark.parametrize("layer", [nn.Linear(12, 5), nn.Conv2d(4, 6, (3, 2), groups=2)])
def test_backward_products_have_the_operands_asked_for(layer: nn.Module) -> None:
    """Against autograd, product by product: W^T g with g rounded one way, g x^T another."""
    draw = torch.Generator().manual_seed(0)
    size = (3, 12) if isinstance(layer, nn.Linear) else (3, 4, 6, 5)
    ifmap = torch.randn(size, generator=draw)

    def gradients(weighing: Tensor, seen: Tensor) -> tuple[Tensor, ...]:
        part = seen.clone().requires_grad_()
        layer.zero_grad()
        torch.autograd.backward((layer(part) * weighing).sum())
        weight, bias = layer.get_parameter("weight").grad, layer.get_parameter("bias").grad
        assert part.grad is not None
        assert weight is not None
        assert bias is not None
        return part.grad, weight.clone(), bias.clone()

    plain = layer(ifmap).detach()
    weighing = torch.randn(plain.shape, generator=draw)
    wanted = (
        gradients(weighing.sign(), ifmap)[0],
        gradients(weighing.round(), ifmap.floor())[1],
        gradients(weighing.round(), ifmap)[2],
    )
    with split_gradients([layer], for_ifmap=torch.sign, for_weight=torch.round, ifmap=torch.floor):
        assert torch.allclose(layer(ifmap), plain, atol=1e-6)
        found = gradients(weighing, ifmap)
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_all_products_of_a_step_are_additions_or_shifts(
    cnn: nn.Module, training: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts the true multiplications of the operands that the layers were given."""
    counted: dict[str, list[int]] = {"onwards": [0, 0], "weights": [0, 0]}

    def watched(layer: nn.Module, ifmap: Tensor, weight: Tensor, bias: object) -> Tensor:
        """With weights that train, the ifmap is the operand of their gradient."""
        levels = weight.detach() / weight.detach().abs().max()
        kind, operand = ("weights", ifmap) if weight.requires_grad else ("onwards", levels)
        counted[kind][0] += int((~is_power(operand)).sum())
        counted[kind][1] += operand.numel()
        return product(layer, ifmap, weight, bias)

    product = _backward.product
    monkeypatch.setattr(_backward, "product", watched)
    compress(cnn, uniform((METHOD, {"fit": {"epochs": 1}})), data=training.first(256))
    assert counted["onwards"][1] > 0
    assert counted["weights"][1] > 0
    assert (counted["onwards"][0], counted["weights"][0]) == (0, 0)


@pytest.mark.parametrize(("connect", "bits"), [("binary", 1), ("ternary", 2)])
def test_weights(cnn: nn.Module, training: Data, connect: str, bits: int) -> None:
    method = (METHOD, {"connect": connect, "magnitude": "one", "fit": {"epochs": 0.1}})
    found = compress(cnn, uniform(method), data=training.first(256))
    for path in ("0", "3", "6", "9"):
        layer = found.get_submodule(path)
        levels = {-1.0, 1.0} if bits == 1 else {-1.0, 0.0, 1.0}
        assert set(weight_of(layer).flatten().tolist()) <= levels
        assert (code_of(layer).word_bits, code_of(layer).primitive) == (bits, Primitive.ADD)
        assert not functional.relu(weight_of(layer).abs() - 1).any()


@pytest.mark.slow
def test_learns(cnn: nn.Module, training: Data, testing: Data) -> None:
    """The catalogue asks for half a point; so small a network loses three and a half."""
    fit = {"epochs": 6, "learning_rate": 0.1, "weight_decay": 0}
    found = compress(cnn, uniform((METHOD, {"fit": fit})), data=training)
    assert accuracy(found, testing) > accuracy(cnn, testing) - 0.04
