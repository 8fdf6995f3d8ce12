"""At one point of a plan channels go before weights get a form that others read."""

import pytest
import torch

from compressors import Plan, Step, compress
from compressors._layers import weight_of
from compressors.codesign import filters, fixed_point
from hwsim import registry
from tests.codesign.networks import chain, data


@pytest.mark.parametrize("name", registry.names("compressor"))
def test_methods_that_remove_channels_say_so(name: str) -> None:
    step = registry.module("compressor", name)
    assert hasattr(step, "remove_") == getattr(step, "REMOVES_CHANNELS", False)


def test_channels_go_first_whichever_layer_is_named_first() -> None:
    model = chain()
    steps = {"0": fixed_point(8, 8).steps, "4": filters(0.5).steps, "6": fixed_point(4, 8).steps}
    found = compress(model, Plan(layers=steps), data=data(model))
    assert tuple(weight_of(found.get_submodule("6")).shape) == (5, 4)
    with torch.no_grad():
        assert found(data(model).images).shape == (24, 5)


def test_steps_that_remove_channels_are_known() -> None:
    assert Step(method="thinet").removes_channels
    assert not Step(method="shiftcnn").removes_channels
