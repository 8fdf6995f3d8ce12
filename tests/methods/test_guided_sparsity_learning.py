"""Park et al., ICLR 2017, arXiv:1608.01409."""

from pathlib import Path

import pytest
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._layers import weighted_layers
from compressors._plan import uniform
from compressors.pruning.break_even import break_even, prices, read_break_even, workload
from compressors.pruning.targets import density, targets
from hwsim.errors import InputError
from hwsim.hardware import load_machine
from tests.methods.conftest import accuracy

SMALL = {
    "break_even": {"0.0.0": 0.0, "0.1.0": 1.0, "3": 1.0},
    "train": {"epochs": 1},
    "fit": {"epochs": 1},
    "strength": 0.1,
}
LAYERS = ["0", "3", "6", "9"]
QUICK = {"train": {"epochs": 0.5, "learning_rate": 0.05}, "fit": {"epochs": 0}, "rounds": 1}


def shares(model: nn.Module) -> dict[str, float]:
    return {path: density(targets(model, [path])) for path in weighted_layers(model)}


def guided(model: nn.Module, data: Data, **settings: object) -> nn.Module:
    return compress(model, uniform(("guided_sparsity_learning", QUICK | settings)), data=data)


def test_layers_where_zeros_do_not_pay_stay_dense(cnn: nn.Module, training: Data) -> None:
    """Never with a limit of 0; once trained, with a limit that was out of reach."""
    limits = {"0": 0.0, "3": 1.0, "6": 0.01, "9": 1.0}
    found = shares(guided(cnn, training, break_even=limits, strength=5e-3))
    assert found["0"] == 1
    assert found["3"] < 1
    assert found["6"] > 0.01
    assert found["9"] < 1
    again = shares(guided(cnn, training, break_even=limits, strength=5e-3, rounds=3))
    assert again["6"] == 1  # its weights came back
    assert again["3"] < found["3"]


def test_the_crossing_is_that_of_a_sweep(training: Data) -> None:
    """Sixteen densities, one after the other, on the machines with and without zero skipping."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.ReLU(), nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(200, 10)
    )
    images = torch.randn(2, 4, 7, 7, generator=torch.Generator().manual_seed(0))
    sparse, dense = load_machine("zero_skipping"), load_machine("eyeriss_v1_int8")
    layers = list(weighted_layers(model))
    network = workload(model, layers, images, sparse)
    found = break_even(network, sparse, dense, "energy")
    limits = prices(network, dict.fromkeys(layers, 1.0), dense, "energy")
    for path in layers:
        cheaper = [
            n / 16
            for n in range(17)
            if prices(network, dict.fromkeys(layers, n / 16), sparse, "energy")[path] < limits[path]
        ]
        assert cheaper[-1] - 1 / 64 <= found[path] < cheaper[-1] + 1 / 16
    assert all(0 < limit < 1 for limit in found.values())


@pytest.mark.slow
def test_costs_no_more_than_without_guidance(cnn: nn.Module, training: Data, testing: Data) -> None:
    """Each layer on the better of two machines, at accuracies less than a point apart."""
    fit = {"train": {"epochs": 2, "learning_rate": 0.05}, "rounds": 2}
    fit["fit"] = {"epochs": 4, "learning_rate": 0.05}
    led = guided(cnn, training, **fit, strength=5e-3)
    limits = dict.fromkeys(LAYERS, 1.0)
    free = guided(cnn, training, **fit, strength=4e-3, break_even=limits)
    sparse, dense = load_machine("zero_skipping"), load_machine("eyeriss_v1_int8")
    totals = []
    for model in (led, free):
        found = shares(model)
        network = workload(model, LAYERS, training.images, sparse)
        with_zeros = prices(network, found, sparse, "energy")
        without = prices(network, dict.fromkeys(LAYERS, 1.0), dense, "energy")
        totals.append(sum(min(with_zeros[path], without[path]) for path in LAYERS))
        print(found, totals[-1], accuracy(model, testing))
    assert shares(led)["0"] == 1
    assert totals[0] <= totals[1]
    assert accuracy(led, testing) > accuracy(free, testing) - 0.01


def test_tables_come_from_files(cnn: nn.Module, training: Data, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("layer,density\n0,0.25\n3,1\n", encoding="utf-8")
    assert read_break_even(table) == {"0": 0.25, "3": 1.0}
    with pytest.raises(InputError, match="layer '6': guided_sparsity_learning: break_even"):
        guided(cnn, training, break_even=str(table))
    table.write_text("name,density\n0,0.25\n", encoding="utf-8")
    with pytest.raises(InputError, match="must have columns layer and density"):
        read_break_even(table)
    with pytest.raises(InputError, match="cannot be read"):
        read_break_even(tmp_path / "none.csv")
