"""Zhou, Yao, Guo, Xu and Chen, ICLR 2017."""

from itertools import pairwise
from math import floor, log2

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import compressors.incremental_network_quantization as inq
from compressors._compress import compress
from compressors._data import Data
from compressors._fit import Fit
from compressors._fit import fit as train
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors.weights._form import code_of
from compressors.weights.masked import mask_
from compressors.weights.rounded import Rounded
from hwsim.workload import Primitive
from tests.methods.conftest import accuracy
from tests.methods.integer_reference import sums

SMALL = {"fit": {"epochs": 0.1}}
PATHS = ["0", "3", "6", "9"]
METHOD = "incremental_network_quantization"


def codebook(weight: Tensor, bits: int) -> Tensor:
    """Eq. 1 to 3."""
    n1 = floor(log2(4 * float(weight.abs().max()) / 3))
    n2 = n1 + 1 - 2 ** (bits - 1) // 2
    powers = [2.0**n for n in range(n2, n1 + 1)]
    return torch.tensor([0.0, *powers, *(-p for p in powers)])


@pytest.mark.parametrize("bits", [3, 4, 5])
def test_all_weights_end_in_the_codebook(cnn: nn.Module, training: Data, bits: int) -> None:
    method = (METHOD, {"bits": bits, "fit": {"epochs": 0.05}})
    found = compress(cnn, uniform(method), data=training.first(512))
    for path in PATHS:
        book = codebook(weight_of(cnn.get_submodule(path)).detach(), bits)
        code = code_of(found.get_submodule(path))
        assert torch.isin(weight_of(found.get_submodule(path)).detach(), book).all()
        assert code.parts.streams["indices"].width == bits
        # As a multiplier would have to take them: a sign, and a bit for each exponent.
        assert (code.word_bits, code.primitive) == (2 ** (bits - 2) + 1, Primitive.SHIFT_ADD)


def test_levels_are_the_nearest() -> None:
    """Eq. 4: beta where (alpha + beta) / 2 <= |w| < 3 beta / 2, for neighbours alpha < beta."""
    weight = torch.randn(3000, generator=torch.Generator().manual_seed(0)) / 10
    found = inq.Config(bits=4).powers.project(weight).decode()
    book = sorted(level for level in codebook(weight, 4).tolist() if level >= 0)
    for alpha, beta in pairwise(book):
        inside = ((alpha + beta) / 2 < weight.abs()) & (weight.abs() < 3 * beta / 2)
        assert torch.equal(found[inside], beta * weight[inside].sign())


def test_what_is_frozen_stays_and_only_grows(
    cnn: nn.Module, training: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[dict[str, tuple[Tensor, Tensor]]] = []

    def watched(model: nn.Module, images: Tensor, labels: Tensor, settings: Fit) -> None:
        layers = {path: model.get_submodule(path) for path in PATHS}
        before = {path: weight_of(layer).detach().clone() for path, layer in layers.items()}
        train(model, images, labels, settings)
        held.append({p: (inq.frozen_of(x), weight_of(x).detach()) for p, x in layers.items()})
        for path, (frozen, weight) in held[-1].items():
            assert torch.equal(weight[frozen], before[path][frozen])
            assert not torch.equal(weight[~frozen], before[path][~frozen])

    monkeypatch.setattr(f"compressors.{METHOD}.fit", watched)
    found = compress(cnn, uniform((METHOD, {"fit": {"epochs": 0.1}})), data=training.first(1000))
    shares = []
    for path in PATHS:
        final = weight_of(found.get_submodule(path)).detach()
        for (frozen, weight), later in zip(
            [state[path] for state in held],
            [*[state[path][0] for state in held[1:]], torch.ones_like(final, dtype=torch.bool)],
            strict=True,
        ):
            assert (later | ~frozen).all()
            assert torch.equal(final[frozen], weight[frozen])
            shares.append(float(frozen.float().mean()))
    assert shares == pytest.approx([0.5, 0.75, 0.875] * 4, abs=0.02)


def test_the_largest_come_first(cnn: nn.Module) -> None:
    layer, config = cnn.get_submodule("6"), inq.Config()
    weight = weight_of(layer).detach().clone()
    levels = Rounded(config.powers.project(weight))
    inq.freeze_(layer, levels, 0.5, config, torch.Generator())
    frozen = inq.frozen_of(layer)
    assert float(weight[frozen].abs().min()) >= float(weight[~frozen].abs().max())


def test_pruned_weights_stay_zero(cnn: nn.Module, training: Data) -> None:
    layer = cnn.get_submodule("6")
    mask = weight_of(layer).detach().abs() > 0.05
    mask_(layer, mask)
    method = (METHOD, {"fit": {"epochs": 0.1}})
    found = compress(cnn, uniform(method), data=training.first(256)).get_submodule("6")
    assert not weight_of(found)[~mask].any()
    assert code_of(found).kind == "sparse"


def test_shifts_convolve_to_the_same_bits(cnn: nn.Module, training: Data) -> None:
    """Integers shifted by a weight's exponent and added equal the float convolution."""
    method = (METHOD, {"fit": {"epochs": 0}})
    layer = compress(cnn, uniform(method), data=training.first(8)).get_submodule("3")
    weight = weight_of(layer).detach().double().numpy()
    least = int(np.log2(np.abs(weight[weight != 0]).min()))
    exponents = np.where(weight != 0, np.log2(np.abs(weight) + (weight == 0)) - least, 0)
    shifted = np.sign(weight).astype(np.int64) << exponents.astype(np.int64)
    draw = torch.Generator().manual_seed(0)
    ifmap = torch.randint(-128, 128, (2, 8, 9, 7), generator=draw)
    total = sums(layer, ifmap.numpy(), shifted)
    with torch.no_grad():
        assert torch.equal(layer(ifmap.float()).double(), torch.from_numpy(total * 2.0**least))


def test_five_bits_lose_less_than_a_third_of_a_point(
    cnn: nn.Module, training: Data, testing: Data
) -> None:
    fit = {"epochs": 2, "learning_rate": 0.05}
    found = compress(cnn, uniform((METHOD, {"fit": fit})), data=training)
    assert accuracy(found, testing) >= accuracy(cnn, testing) - 0.003
