"""Polyak and Wolf, IEEE Access 2015."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from compressors import inbound_pruning
from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weight_of
from compressors._plan import uniform
from compressors._probe import read_columns
from compressors.structure._groups import channel_groups
from compressors.structure._repair import mix_
from compressors.weights._form import code_of
from tests.methods.conftest import accuracy

SMALL = {"fit": {"epochs": 1, "batch": 3}}
SMALL_KEEP = ("0.1.0",)
REUSE = {"mode": "reduce_and_reuse"}


def test_partial_responses_add_up_and_vary(cnn: nn.Module, training: Data) -> None:
    """To what the layer yields; their variances are numpy's."""
    columns = read_columns(cnn, ["3"], training.first(50), positions=4, seed=0)["3"]
    weight = weight_of(cnn.get_submodule("3")).detach()
    kernels = weight.flatten(2).double().numpy()
    parts = np.einsum("ncr,kcr->nkc", columns.inputs.double().numpy(), kernels)
    assert np.allclose(parts.sum(2), columns.sums, atol=1e-4)
    found = inbound_pruning.partial_variances(weight, columns)
    assert np.allclose(found, parts.var(0), rtol=1e-4)


def test_each_filter_keeps_its_own_kernels(cnn: nn.Module, training: Data) -> None:
    plan = uniform(("inbound_pruning", {"keep": 0.25, "images": 100}), keep=["0", "9"])
    masked = compress(cnn, plan, data=training)
    layer = masked.get_submodule("3")
    kernels = weight_of(layer).detach().flatten(2).abs().sum(2) > 0
    assert torch.equal(kernels.sum(1), torch.full((16,), 2))
    assert code_of(layer).kind == "sparse"
    columns = read_columns(cnn, ["3"], training.first(100), positions=10, seed=0)["3"]
    variances = inbound_pruning.partial_variances(weight_of(cnn.get_submodule("3")), columns)
    least = variances.masked_fill(~kernels, torch.inf).min(1).values
    assert (least >= variances.masked_fill(kernels, 0).max(1).values).all()


def test_folding_is_a_pointwise_convolution_in_front(cnn: nn.Module, training: Data) -> None:
    images = training.images[:8]
    draw = torch.randn(16, 16, generator=torch.Generator().manual_seed(0)).double()
    assert isinstance(cnn, nn.Sequential)
    with torch.no_grad():
        mixed = functional.conv2d(cnn[:6](images), draw.T.float()[:, :, None, None])
        wanted = cnn[6:](mixed)
        mix_(cnn, channel_groups(cnn)[1], draw)
        assert torch.allclose(cnn(images), wanted, rtol=1e-4, atol=1e-3)


def test_what_others_say_is_reconstructed_exactly(cnn: nn.Module, training: Data) -> None:
    """Eight maps that are multiples of the other eight, of less variance."""
    for name in ("weight", "bias"):
        parameter = cnn.get_parameter(f"4.{name}").data
        parameter[8:] = 0.5 * parameter[:8]
    cnn.get_parameter("3.weight").data[8:] = cnn.get_parameter("3.weight").data[:8]
    for name in ("running_mean", "running_var"):
        buffer = cnn.get_buffer(f"4.{name}")
        buffer[8:] = buffer[:8]
    smaller = compress(
        cnn, uniform(("inbound_pruning", REUSE), keep=["0", "6", "9"]), data=training
    )
    assert len(smaller.get_parameter("3.weight")) == 8
    images = training.images[:50]
    assert torch.allclose(smaller(images), cnn(images), rtol=1e-3, atol=1e-3)


def test_reuse_leaves_less_than_dropping(
    cnns: list[nn.Module], training: Data, testing: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The residual of least squares is at most that of no reconstruction; so in the network, in the
    mean of three.
    """
    draw = torch.Generator().manual_seed(0)
    values = (
        torch.randn(500, 6, generator=draw).double() @ torch.randn(6, 9, generator=draw).double()
    )
    keep = torch.arange(9) < 4
    shares = inbound_pruning.reconstruction(values.T @ values, keep)
    plain = values[:, ~keep].square().sum()
    left = (values - values @ shares)[:, ~keep].square().sum()
    wanted, *_ = np.linalg.lstsq(values[:, keep].numpy(), values[:, ~keep].numpy(), rcond=None)
    assert np.allclose(shares[keep][:, ~keep], wanted, atol=1e-8)
    assert left < plain
    plan = uniform(("inbound_pruning", REUSE), keep=["9"])
    reused = [accuracy(compress(one, plan, data=training), testing) for one in cnns]
    monkeypatch.setattr(inbound_pruning, "reconstruction", lambda _, keep: keep.double().diag())
    dropped = [accuracy(compress(one, plan, data=training), testing) for one in cnns]
    assert sum(reused) > sum(dropped)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["inbound", "reduce_and_reuse"])
def test_fine_tuning_recovers(cnn: nn.Module, training: Data, testing: Data, mode: str) -> None:
    config = {"mode": mode, "keep": 0.7, "fit": {"epochs": 2.0, "learning_rate": 0.05}}
    found = compress(cnn, uniform(("inbound_pruning", config), keep=["9"]), data=training)
    assert accuracy(found, testing) > accuracy(cnn, testing) - 0.01
