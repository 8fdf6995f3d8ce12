"""What every quantiser of activations offers; compressors/activations/ has a file for each."""

from importlib import import_module
from importlib.resources import files

import pytest
import torch
from torch import nn

from compressors.activations import logarithmic, uniform
from compressors.activations._quantiser import (
    ActivationQuantiser,
    input_quantiser,
    quantise_input_,
)
from compressors.fixed.calibration import Observation
from hwsim.errors import InputError

KINDS = sorted(
    entry.name.removesuffix(".py")
    for entry in files("compressors.activations").iterdir()
    if entry.name.endswith(".py") and not entry.name.startswith("_")
)


def seen(values: torch.Tensor) -> Observation:
    found = Observation()
    found.add(values)
    return found


@pytest.fixture(params=KINDS)
def quantiser(request: pytest.FixtureRequest) -> ActivationQuantiser:
    """Each kind in turn, calibrated where it can be."""
    module = import_module(f"compressors.activations.{request.param}")
    values = torch.randn(400, generator=torch.Generator().manual_seed(0))
    if hasattr(module, "calibrated"):
        found = module.calibrated(module.Settings(), seen(values))
    else:
        found = module.QUANTISER(module.Settings())
    assert isinstance(found, ActivationQuantiser)
    return found.eval()


def test_settings_and_buffers_make_it_again(quantiser: ActivationQuantiser) -> None:
    kind, settings = type(quantiser), type(quantiser.settings)
    again = kind(settings.model_validate_json(quantiser.settings.model_dump_json())).eval()
    again.load_state_dict(quantiser.state_dict())
    ifmap = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    assert torch.equal(again(ifmap), quantiser(ifmap))
    assert again.bits == quantiser.bits
    assert (again.binary, again.terms) == (quantiser.binary, quantiser.terms)


def test_rounding_twice_is_rounding_once(quantiser: ActivationQuantiser) -> None:
    """But for sums of binary terms, whose scales follow the numbers."""
    ifmap = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    once = quantiser(ifmap)
    if quantiser.terms == 1:
        assert torch.allclose(quantiser(once), once)
    assert len(torch.unique(once[0])) <= 2**quantiser.bits


def test_a_layer_with_it_can_be_exported(quantiser: ActivationQuantiser) -> None:
    layer = nn.Conv2d(4, 3, (3, 2)).eval()
    quantise_input_(layer, quantiser)
    assert input_quantiser(layer) is quantiser
    ifmap = torch.randn(2, 4, 6, 5)
    program = torch.export.export(layer, (ifmap,), strict=False)
    assert torch.equal(program.module()(ifmap), layer(ifmap))


def test_logarithms_round_in_the_exponent() -> None:
    values = torch.rand(500, generator=torch.Generator().manual_seed(0)) * 5
    found = logarithmic.calibrated(logarithmic.Settings(bits=4), seen(values))(values)
    powers = torch.tensor([2.0**n for n in range(-12, 3)])
    gaps = (values[:, None].log2() - powers.log2()).abs()
    assert torch.equal(found, powers[gaps.argmin(1)])
    signed = logarithmic.calibrated(logarithmic.Settings(bits=4, signed=True), seen(values))
    assert torch.equal(signed(-values), -signed(values))
    assert not logarithmic.calibrated(logarithmic.Settings(), seen(values))(-values).any()


def test_one_bit_holds_no_sign() -> None:
    with pytest.raises(InputError, match="bits = 1"):
        uniform.calibrated(uniform.Settings(bits=1), seen(torch.tensor([-1.0, 1.0])))
    zero_or_one = uniform.calibrated(uniform.Settings(bits=1), seen(torch.tensor([0.0, 1.0])))
    assert zero_or_one(torch.tensor([-3.0, 0.2, 0.7, 9.0])).tolist() == [0.0, 0.0, 1.0, 1.0]
