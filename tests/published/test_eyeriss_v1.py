"""The Eyeriss chip, layer by layer: what was measured on it, and the parameters fitted to it.

Chen, Krishna, Emer, Sze, JSSC 52(1), 2017, Tables III, V and VI. Tolerances are relative.
"""

from functools import cache

import pytest

from hwsim.dataflows.row_stationary import Pass
from hwsim.hardware import load_machine
from hwsim.mapping import validate
from hwsim.technology import memory_pj_per_bit
from hwsim.validate import Row
from hwsim.validation import eyeriss_v1
from hwsim.validation._eyeriss_chip import NETWORKS, ChipLayer, chip_layers
from hwsim.validation._eyeriss_power import fit, with_parameters
from hwsim.validation._eyeriss_rule import chip_mapping
from hwsim.workload import Layer

EYERISS = load_machine("eyeriss_v1")
LAYERS = {
    f"{chip.network} {chip.name}": chip for network in NETWORKS for chip in chip_layers(network)
}
MEGABYTE = 1e6
PRINTED = 0.05  # half of the last printed digit, in the table's unit

MACS_AN_IMAGE = {
    "CONV1": 105_415_200,
    "CONV2": 223_948_800,
    "CONV3": 149_520_384,
    "CONV4": 112_140_288,
    "CONV5": 74_760_192,
    "CONV1-1": 86_704_128,
    "CONV1-2": 1_849_688_064,
    "CONV5-3": 462_422_016,
}

every_layer = pytest.mark.parametrize("key", LAYERS)


@cache
def rows() -> tuple[Row, ...]:
    return tuple(eyeriss_v1.rows())


def one(key: str, quantity: str) -> Row:
    network, layer = key.split(" ", maxsplit=1)
    (found,) = (
        row
        for row in rows()
        if (row.network, row.layer, row.quantity) == (network, layer, quantity)
    )
    print(f"{key}: {quantity} {found.simulated:.5g}, published {found.published:.5g}")
    return found


def mean_error(network: str, quantity: str) -> float:
    errors = [abs(one(key, quantity).error) for key in LAYERS if key.startswith(network)]
    return sum(errors) / len(errors)


def test_the_layers_are_those_of_the_networks() -> None:
    for chip in LAYERS.values():
        if chip.name in MACS_AN_IMAGE:
            assert chip.layer.macs == chip.layer.N * MACS_AN_IMAGE[chip.name]


@every_layer
def test_active_pes(key: str) -> None:
    assert one(key, "active_pes").error == 0


@every_layer
def test_the_mapping_is_one_that_the_chip_can_run(key: str) -> None:
    validate(LAYERS[key].mapping(EYERISS), LAYERS[key].layer, EYERISS)


@pytest.mark.parametrize("key", [key for key in LAYERS if key != "alexnet CONV3"])
def test_glb_bytes(key: str) -> None:
    assert abs(one(key, "glb_bytes").error) <= 0.02


def test_one_printed_mapping_contradicts_its_own_table() -> None:
    """4, 1, 4 make 69.2 MB, 3, 2, 2 the 50.2 MB of Table V."""
    assert one("alexnet CONV3", "glb_bytes").simulated == pytest.approx(69.2e6, rel=0.001)
    other = one("alexnet CONV3 with q, r, t = 3, 2, 2", "glb_bytes")
    assert other.simulated == pytest.approx(other.published, abs=PRINTED * MEGABYTE)


@every_layer
def test_dram_bytes(key: str) -> None:
    """AlexNet within 5 % of a number that is printed to a tenth of a megabyte, VGG-16 10 %."""
    found = one(key, "dram_bytes")
    tolerance = 0.05 if key.startswith("alexnet") else 0.10
    assert found.simulated == pytest.approx(
        found.published, abs=tolerance * found.published + PRINTED * MEGABYTE
    )


@every_layer
def test_latency(key: str) -> None:
    assert abs(one(key, "processing_ms").error) <= 0.10
    assert abs(one(key, "total_ms").error) <= 0.10


def test_latency_on_average() -> None:
    assert mean_error("", "processing_ms") <= 0.05


@pytest.mark.parametrize("network", NETWORKS)
def test_power_on_average(network: str) -> None:
    assert mean_error(network, "power_mw") <= 0.10


def test_what_gating_spares() -> None:
    """45 % of the PEs' power (Sec. V); on which layers is not said."""
    (found,) = (row for row in rows() if row.quantity == "pe_power_saved_percent")
    assert abs(found.error) <= 0.10


def test_fitted_rows_say_so() -> None:
    """AlexNet's powers, and what the rule for VGG-16's mappings was inferred from."""
    for row in rows():
        looked_at = {
            "vgg16": ("active_pes", "glb_bytes", "dram_bytes"),
            "alexnet": ("power_mw",),
        }[row.network]
        if "with" not in row.layer:
            assert row.fitted == (row.quantity in looked_at)


# The rule, on the network that it was not inferred from


@pytest.mark.parametrize("name", ["CONV1", "CONV3", "CONV4", "CONV5"])
def test_the_rule_finds_the_printed_parameters(name: str) -> None:
    chip = LAYERS[f"alexnet {name}"]
    found = by_rule(chip)
    printed = {key: chip.row[key] for key in "mnepqrt"}
    assert {key: getattr(found, key) for key in "mnepqrt"} == printed


def test_the_rule_takes_two_images_where_the_chip_takes_more_filters() -> None:
    """The same psums in the buffer, and the same PE sets."""
    chip = LAYERS["alexnet CONV2"]
    found = by_rule(chip)
    assert (found.n * found.m, found.e, found.p, found.q) == (64, 27, 16, 2)
    assert (chip.row["n"], chip.row["m"]) == (1, 64)


def by_rule(chip: ChipLayer) -> Pass:
    images = chip.layer.C == 3
    zeros = 0.0 if images else chip.table["mean_zeros_percent"] / 100
    return chip_mapping(chip.layer, zeros=zeros, filters_among_maps=False)


def test_the_rule_maps_layers_it_was_never_shown() -> None:
    for layer in (
        Layer(name="wide", N=2, K=24, C=6, P=20, Q=300, R=5, S=4, stride_h=2),
        Layer(name="one by one", K=48, C=20, P=7, Q=9),
    ):
        found = chip_mapping(layer, zeros=0.5, filters_among_maps=True)
        assert layer.K % found.m == found.m % (found.p * found.t) == 0
        assert found.w is not None
        assert found.w <= 128


# The fit


def test_the_machine_holds_what_the_fit_gives() -> None:
    """The YAML's constants are the fit's, to the digits written there."""
    found = fit(EYERISS)
    fitted = with_parameters(EYERISS, found)
    assert EYERISS.control.clock_pj_per_cycle == pytest.approx(found.clock_pj_per_cycle, rel=1e-3)
    assert EYERISS.mac.multiply_add_pj == pytest.approx(fitted.mac.multiply_add_pj, rel=1e-3)
    for ours, theirs in zip(EYERISS.levels[-1].memories, fitted.levels[-1].memories, strict=True):
        assert memory_pj_per_bit(ours, EYERISS.technology) == pytest.approx(
            memory_pj_per_bit(theirs, EYERISS.technology), rel=1e-3
        )
