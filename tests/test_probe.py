"""One pass over images: maps where they are whole, and columns that make up sums."""

import pytest
import torch
from torch import nn

from compressors._data import Data
from compressors._layers import weight_of
from compressors._probe import BATCH, feature_maps, read_columns, site
from compressors.structure._flow import graph_of
from hwsim.errors import InputError
from tests.structured_networks import Residual


def drawn(*shape: int) -> Data:
    return Data(images=torch.randn(*shape, generator=torch.Generator().manual_seed(0)))


LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "conv": (nn.Conv2d(3, 4, (3, 2), stride=(1, 2), padding=(2, 0), dilation=(2, 1)), (3, 9, 8)),
    "sequence": (nn.Conv1d(3, 4, 3, stride=2, padding=1), (3, 11)),
    "linear": (nn.Linear(5, 4), (5,)),
    "tokens": (nn.Linear(5, 4, bias=False), (7, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("positions", [2, 1000])
def test_columns_times_weights_are_sums(name: str, positions: int) -> None:
    """For every kind of layer, in more batches than one."""
    layer, shape = LAYERS[name]
    data = drawn(BATCH + 3, *shape)
    found = read_columns(nn.Sequential(layer), ["0"], data, positions=positions, seed=0)["0"]
    weight = weight_of(layer).detach().flatten(1)
    assert torch.allclose(found.inputs.flatten(1) @ weight.T, found.sums, atol=1e-4)
    with torch.no_grad():
        places = layer(data.images).numel() // 4 // len(data.images)
    assert len(found.sums) == len(data.images) * min(positions, places)


def test_columns_are_drawn_without_repetition() -> None:
    layer, shape = LAYERS["conv"]
    found = read_columns(nn.Sequential(layer), ["0"], drawn(1, *shape), positions=20, seed=3)["0"]
    assert len(set(map(tuple, found.sums.tolist()))) == 20
    again = read_columns(nn.Sequential(layer), ["0"], drawn(1, *shape), positions=20, seed=3)["0"]
    assert torch.equal(found.inputs, again.inputs)


def test_grouped_convolutions_have_no_columns() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 3, groups=2))
    with pytest.raises(InputError, match="'0': grouped"):
        read_columns(model, ["0"], drawn(2, 4, 5, 6), positions=1, seed=0)


def test_a_map_ends_behind_what_reads_it_alone() -> None:
    """Norm, curve, sum and another curve; but not where two read it."""
    model = nn.Sequential(nn.Conv2d(2, 4, 1), nn.ReLU(), Residual(4, 3), nn.AvgPool2d(2))
    graph = graph_of(model)
    assert site(model, graph, "0").target == "1"
    assert site(model, graph, "2.first").target == "2.norm.1"
    assert site(model, graph, "2.second").name == "relu"
    data = drawn(5, 2, 6, 4)
    found = feature_maps(model.eval(), ["2.second"], data)["2.second"]
    with torch.no_grad():
        wanted = model[:3](data.images).mean((2, 3))
    assert torch.allclose(found.means, wanted, atol=1e-6)


def test_a_layer_called_twice_has_no_map() -> None:
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    with pytest.raises(InputError, match="'0': called 2 times"):
        feature_maps(model, ["0"], drawn(2, 3))
