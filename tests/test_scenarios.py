"""What every scenario file promises: it parses, and all that it names exists."""

import re
from inspect import signature

import pytest

from compressors import Plan
from hwsim import registry
from hwsim.config import load
from hwsim.errors import InputError
from hwsim.hardware import load_machine
from hwsim.scenario_file import Scenario, load_scenario, plan_of

SCENARIOS = registry.names("scenario")


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return load(registry.yaml_path("scenario", request.param), Scenario)


def test_the_main_job_is_among_them() -> None:
    assert {"mobilenet_int8", "mobilenet_v2_imagenet_int8"} <= set(SCENARIOS)


def test_names_are_lower_case_words() -> None:
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in SCENARIOS)


def test_description_fits_a_line(scenario: Scenario) -> None:
    assert 10 <= len(scenario.description) <= 100
    assert "\n" not in scenario.description


def test_machines_exist_and_take_the_bits(scenario: Scenario) -> None:
    baseline = load_machine(scenario.baseline.machine)
    load_machine(scenario.compressed.machine)
    assert scenario.baseline.bits <= min(baseline.mac.ifmap_bits, baseline.mac.weight_bits)


def test_network_can_be_built(scenario: Scenario) -> None:
    file = registry.module("network", scenario.network)
    registry.hook(file, "build")
    assert all(size > 0 for size in file.INPUT_SHAPE)


def test_the_plan_names_layers_of_the_network(scenario: Scenario) -> None:
    if scenario.compressed.search is not None:
        return  # which finds its own
    plan = plan_of(scenario.compressed, file="scenario")
    assert isinstance(plan, Plan)
    plan.resolved(registry.module("network", scenario.network).build())


def test_data_set_takes_what_it_is_given(scenario: Scenario) -> None:
    load_images = registry.hook(registry.module("data set", scenario.dataset.name), "load")
    assert scenario.dataset.arguments().keys() <= signature(load_images).parameters.keys()


def test_plots_can_be_drawn(scenario: Scenario) -> None:
    assert scenario.plots
    for name in scenario.plots:
        registry.hook(registry.module("plot", name), "draw")


def complaint(name: str) -> str:
    """What loading a scenario complains of; empty where it does not."""
    try:
        load_scenario(name)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", SCENARIOS)
def test_loads_or_says_what_is_missing(name: str) -> None:
    said = complaint(name)
    assert said == "" or re.search(r"pip install|--images", said)


def test_json_schema_can_be_had() -> None:
    assert {"network", "dataset"} <= set(Scenario.model_json_schema()["properties"])
