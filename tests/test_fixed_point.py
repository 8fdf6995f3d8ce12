"""Dynamic fixed point against an integer reference, the float network and the paper's rules."""

import copy
import math
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, fx, nn

from compressors.fixed.fold import fold_batch_norms
from compressors.fixed.grid import Quantiser, ceil_log2, fractional_length, quantised_codes
from compressors.fixed.integer import integer_forward
from compressors.fixed.layers import FixedPointLayer
from compressors.fixed_point import Config, lower
from data import fashion_mnist
from hwsim.errors import InputError
from hwsim.frontends.torch import network_from_torch
from hwsim.workload import Layer, Network, Op
from models import mobilenet_v1_fashion
from models._weights import find_weights, load_weights
from tests.fixed_point_networks import Everything, Residual, randomise
from tests.fixed_point_networks import fixed as compress

CHANNELS = {Residual: 2, Everything: 3}


def images(count: int, channels: int, *, seed: int = 0) -> Tensor:
    """Random non-square images."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, 11, 14, generator=generator)


def rounded_codes(model: nn.Module, batch: Tensor) -> dict[str, Tensor]:
    """The codes of every activation in the float-carried forward pass, by quantiser path."""
    seen: dict[str, Tensor] = {}
    quantisers = {n: m for n, m in model.named_modules() if isinstance(m, Quantiser)}
    for name, quantiser in quantisers.items():

        def keep(module: nn.Module, _: object, output: Tensor, name: str = name) -> None:
            seen[name] = (output * quantisers[name].steps_per_unit).to(torch.int64)

        quantiser.register_forward_hook(keep)
    with torch.no_grad():
        model(batch)
    return seen


def assert_equals_integers(model: fx.GraphModule, batch: Tensor) -> None:
    """Every intermediate code equals the integer reference's."""
    source = next(m for m in model.modules() if isinstance(m, Quantiser))
    wanted = integer_forward(model, source.codes(batch))
    found = rounded_codes(copy.deepcopy(model), batch)
    assert found.keys() == wanted.keys()
    for name, codes in wanted.items():
        assert torch.equal(found[name], codes), name


# --- bit-exactness -----------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_convolution_equals_integers(data: st.DataObject) -> None:
    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    groups, k, c = draw(1, 4), draw(1, 4), draw(1, 9)
    kernel, stride = (draw(1, 5), draw(1, 4)), (draw(1, 3), draw(1, 3))
    padding, dilation = (draw(0, 2), draw(0, 2)), (draw(1, 2), draw(1, 2))
    height, width = draw(1, 12), draw(1, 12)
    assume((kernel[0] - 1) * dilation[0] < height + 2 * padding[0])
    assume((kernel[1] - 1) * dilation[1] < width + 2 * padding[1])
    layer = nn.Conv2d(
        c * groups, k * groups, kernel, stride, padding, dilation, groups, bias=draw(0, 1) == 1
    )
    network = randomise(nn.Sequential(layer, nn.ReLU()), seed=draw(0, 99))
    generator = torch.Generator().manual_seed(draw(0, 99))
    batch = torch.randn(draw(1, 18), c * groups, height, width, generator=generator)
    config = Config(weight_bits=draw(2, 16), activation_bits=draw(2, 16))
    assert_equals_integers(compress(network, config, calibration=batch), batch)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(3, 2, (3, 1), (3, 2), padding=1, dilation=(1, 2)), (3, 7, 1)),
        (nn.Conv2d(8, 6, (1, 2), (1, 4), padding=(0, 3), dilation=2, groups=2), (8, 7, 1)),
    ],
)
def test_windows_of_padding_alone_equal_integers(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """Channels innermost, torch 2.13 alone would convolve them by a call to address 0."""
    batch = torch.randn(6, *shape, generator=torch.Generator().manual_seed(1))
    network = randomise(nn.Sequential(layer), seed=3)
    assert_equals_integers(compress(network, Config(), calibration=batch), batch)


@pytest.mark.parametrize("rule", ["max", "mse"])
@pytest.mark.parametrize("bits", [2, 3, 8, 11, 16])
@pytest.mark.parametrize("network", [Residual, Everything])
def test_whole_networks_equal_integers(network: type[nn.Module], bits: int, rule: str) -> None:
    batch = images(20, CHANNELS[network])
    config = Config.model_validate(
        {
            "weight_bits": bits,
            "activation_bits": bits,
            "weight_range": rule,
            "activation_range": rule,
        }
    )
    fixed = compress(randomise(network(), seed=bits), config, calibration=batch)
    assert_equals_integers(fixed, batch)


@pytest.mark.parametrize(
    "pool",
    [
        nn.AvgPool2d(3, stride=2),
        nn.AvgPool2d((2, 3), padding=1),
        nn.AvgPool2d((7, 5), stride=1, padding=2, count_include_pad=False),
        nn.AdaptiveAvgPool2d((3, 5)),
        nn.AdaptiveAvgPool2d(1),
    ],
)
@pytest.mark.parametrize("bits", [4, 8, 16])
def test_average_pools_round_exact_means(pool: nn.Module, bits: int) -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), pool)
    config = Config(weight_bits=8, activation_bits=bits)
    batch = images(6, 3)
    assert_equals_integers(compress(network, config, calibration=batch), batch)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [1, 16, 40])
def test_exact_for_any_batch_and_thread_count(threads: int, count: int) -> None:
    before = torch.get_num_threads()
    network = randomise(
        nn.Sequential(nn.Conv2d(16, 24, 3, padding=1), nn.Conv2d(24, 24, 3, groups=24)), seed=5
    )
    batch = images(count, 16)
    fixed = compress(network, Config(), calibration=batch)
    try:
        torch.set_num_threads(threads)
        assert_equals_integers(fixed, batch)
    finally:
        torch.set_num_threads(before)


def test_worst_case_accumulator_is_exact() -> None:
    """All products at their extremes: the bound is reached, in both carriers."""
    for channels, carrier in ((1024, torch.float32), (1025, torch.float64)):
        layer = nn.Linear(channels, 1, bias=False)
        nn.init.constant_(layer.weight, -1.0)
        batch = torch.full((2, channels), -1.0)
        config = Config(bias_correction=False)
        fixed = compress(nn.Sequential(layer), config, calibration=batch)
        (inside,) = [m for m in fixed.modules() if isinstance(m, FixedPointLayer)]
        assert inside.accumulator_bound == channels * 128 * 128
        assert inside.weight.dtype == carrier
        assert inside.psum_bits == 26
        assert_equals_integers(fixed, batch)


# --- grids -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("largest", "weight_fl", "activation_fl"),
    [(0.9, 7, 8), (1.0, 7, 8), (1.1, 6, 7), (6.0, 4, 5), (300.0, -2, -1), (0.01, 13, 14)],
)
def test_max_rule_is_ristretto(largest: float, weight_fl: int, activation_fl: int) -> None:
    """FL = 8 - IL; IL = ceil(log2 max) for activations, ceil(log2 max + 1) for weights."""
    assert weight_fl == 8 - math.ceil(math.log2(largest) + 1)
    assert activation_fl == 8 - math.ceil(math.log2(largest))
    values = torch.tensor([largest])
    found = [
        fractional_length(values, largest=largest, bits=8, rule="max", kind=kind)
        for kind in ("weight", "activation")
    ]
    assert found == [weight_fl, activation_fl]


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=40), st.integers(2, 12))
def test_mse_rule_has_the_least_error_of_all_lengths(values: list[float], bits: int) -> None:
    sample = torch.tensor(values)
    largest = float(sample.abs().max())
    assume(largest > 1e-3)
    best = fractional_length(sample, largest=largest, bits=bits, rule="mse", kind="weight")

    def error(fl: int) -> float:
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        codes = [min(max(round(v * 2.0**fl), low), high) for v in sample.tolist()]
        pairs = zip(codes, sample.tolist(), strict=True)
        return math.fsum((code * 2.0**-fl - value) ** 2 for code, value in pairs)

    covering = bits - 1 - ceil_log2(largest)
    assert error(best) <= min(error(covering + d) for d in range(8)) * (1 + 1e-4) + 1e-9


@given(st.floats(-40, 40, width=32), st.integers(2, 16), st.integers(-3, 12))
def test_quantiser_rounds_half_to_even_and_saturates(value: float, bits: int, fl: int) -> None:
    quantiser = Quantiser(bits=bits, fl=fl)
    wanted = min(max(round(value * 2.0**fl), quantiser.low), quantiser.high)
    once = quantiser(torch.tensor([value]))
    assert quantiser.codes(torch.tensor([value])).item() == wanted
    assert once.item() == wanted * 2.0**-fl
    assert torch.equal(quantiser(once), once)
    torch_codes = torch.fake_quantize_per_tensor_affine(
        torch.tensor([value]), 2.0**-fl, 0, quantiser.low, quantiser.high
    )
    assert torch.equal(torch_codes, once)


def test_six_decibels_a_bit() -> None:
    """Signal to noise of a Gaussian grows by about 6 dB with every bit."""
    sample = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    largest = float(sample.abs().max())
    noise_db = []
    for bits in (4, 6, 8):
        fl = fractional_length(sample, largest=largest, bits=bits, rule="mse", kind="weight")
        rounded = quantised_codes(sample, fl=fl, bits=bits) * 2.0**-fl
        noise_db.append(10 * math.log10(float((rounded - sample).square().mean())))
    for coarse, fine in pairwise(noise_db):
        assert coarse - fine == pytest.approx(12.04, abs=1.5)


# --- batch-norm folding ------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_folding_keeps_the_function(bias: bool, affine: bool) -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 6, (3, 1), stride=(1, 2), groups=2, bias=bias),
        nn.BatchNorm2d(6, affine=affine),
        nn.ReLU(),
        nn.BatchNorm2d(6, affine=affine),
        nn.Flatten(),
        nn.Linear(6 * 9 * 7, 5, bias=bias),
        nn.BatchNorm1d(5, affine=affine),
    )
    traced = fx.symbolic_trace(randomise(network, seed=2))
    before = {name: tensor.clone() for name, tensor in traced.state_dict().items()}
    folded = fold_batch_norms(traced)
    batch = images(3, 4)
    torch.testing.assert_close(folded(batch), traced(batch), rtol=1e-4, atol=1e-4)
    assert not any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in folded.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in traced.state_dict().items())


# --- the compressed module ---------------------------------------------------------------------


def test_more_bits_approach_the_float_network() -> None:
    network, batch = randomise(Everything(), seed=3), images(20, 3)
    errors = []
    for bits in (4, 8, 12, 16):
        config = Config(weight_bits=bits, activation_bits=bits)
        fixed = compress(network, config, calibration=batch)
        with torch.no_grad():
            wanted = network(batch)
            errors.append(float((fixed(batch) - wanted).abs().mean() / wanted.abs().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3


def test_state_saves_loads_and_exports() -> None:
    batch = images(20, 3)
    first = compress(randomise(Everything(), seed=1), Config(), calibration=batch)
    second = compress(randomise(Everything(), seed=2), Config(), calibration=batch)
    with tempfile.TemporaryDirectory() as folder:
        save_file(first.state_dict(), Path(folder) / "codes.safetensors")
        second.load_state_dict(load_file(Path(folder) / "codes.safetensors"))
    assert torch.equal(first(batch), second(batch))
    exported = torch.export.export(first, (batch,)).module()
    assert torch.equal(exported(batch), first(batch))
    assert torch.equal(copy.deepcopy(first)(batch), first(batch))
    codes = {n: t for n, t in first.state_dict().items() if n.endswith("weight_codes")}
    assert {t.dtype for t in codes.values()} == {torch.int8}


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (nn.Sequential(nn.Conv2d(3, 3, 1), nn.ConvTranspose2d(3, 3, 2)), "layer '1': operator"),
        (nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular")), "zero padding"),
        (nn.Sequential(nn.ReLU()), "no convolution or linear layer"),
        (nn.Sequential(*[nn.Conv2d(3, 3, 1)] * 2), "serve two places"),
        (nn.Sequential(nn.Conv2d(4, 3, 1)), "does not fit the network"),
        (nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)), "'1'"),
    ],
)
def test_refuses_by_name(network: nn.Module, says: str) -> None:
    with pytest.raises(InputError, match=says):
        compress(network, Config(), calibration=images(2, 3))


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("axis_last", [True, False])
def test_bias_correction_restores_the_mean_output(bits: int, axis_last: bool) -> None:
    """Without padding each channel's mean output over the calibration images is the float one."""
    layer = nn.Linear(14, 6) if axis_last else nn.Conv2d(4, 6, (3, 2), groups=2, bias=False)
    network = randomise(nn.Sequential(layer), seed=4)
    # Constant images: every tap of the filter sees the same mean.
    batch = images(40, 4) + 1.0 if axis_last else images(40, 4)[:, :, :1, :1].repeat(1, 1, 9, 8)
    means = []
    for correction in (False, True):
        config = Config(weight_bits=bits, activation_bits=16, bias_correction=correction)
        fixed = compress(network, config, calibration=batch)
        with torch.no_grad():
            error = fixed(batch) - network(batch)
        axes = (0, 1, 2) if axis_last else (0, 2, 3)
        means.append(float(error.mean(axes).abs().max()))
    assert means[1] < 1e-3 < means[0]


# --- lowering ----------------------------------------------------------------------------------


def test_lower_tells_bits_accumulators_and_densities() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, (1, 2), bias=True), nn.AdaptiveAvgPool2d(1))
    assert isinstance(model[0], nn.Conv2d)
    model[0].weight.data = torch.tensor([[[[0.5, 0.001]]]])
    nn.init.constant_(model[0].bias, 0.25)  # type: ignore[arg-type]  # bias=True above
    batch = torch.linspace(-1, 0.99, 20).reshape(1, 1, 4, 5)
    config = Config(weight_bits=6, weight_range="max", bias_correction=False)
    fixed = compress(model, config, calibration=batch)
    conv = Layer(name="0", P=4, Q=4, S=2)
    pool = Layer(name="1", op=Op.POOL, R=4, S=4)
    lowered = lower(Network("n", (conv, pool), edges=(("0", "1"),)), fixed)
    found = lowered["0"]
    # 0.5 at six bits and fl = 6 saturates to code 31; the bias is 0.25 * 2^(6 + 7).
    bound = 31 * 128 + 2048
    assert (found.ifmap.bits, found.weight.bits, found.ofmap.bits) == (8, 6, 8)
    assert found.psum.bits == math.ceil(math.log2(bound + 1)) + 1
    assert found.weight.density == 0.5
    assert (lowered["1"].ifmap.bits, lowered["1"].ofmap.bits, lowered["1"].psum.bits) == (8, 8, 12)
    assert lowered.edges == (("0", "1"),)


def test_lower_refuses_what_does_not_match() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1))
    fixed = compress(model, Config(), calibration=images(2, 3))
    with pytest.raises(InputError, match="layer '0'"):
        lower(Network("n", (Layer(name="other"),)), fixed)
    with pytest.raises(InputError, match="not in fixed point"):
        lower(Network("n", (Layer(name="0"),)), model)


# --- the trained network -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, fx.GraphModule]:
    """MobileNetV1 on Fashion-MNIST, float and int8."""
    model, path = mobilenet_v1_fashion.build(), find_weights(mobilenet_v1_fashion)
    if path is None or not path.is_file():
        pytest.skip("the trained weights are not here")
    load_weights(model, path)
    calibration = fashion_mnist.load(limit=1).calibration
    return model, compress(model, Config(), calibration=calibration)


def test_mobilenet_equals_integers(trained: tuple[nn.Module, fx.GraphModule]) -> None:
    assert_equals_integers(trained[1], fashion_mnist.load(limit=4).images)


def test_mobilenet_lowers_under_its_own_names(trained: tuple[nn.Module, fx.GraphModule]) -> None:
    network = network_from_torch(trained[0], (torch.zeros(1, 1, 32, 32),), name="mobilenet")
    lowered = lower(network, trained[1])
    assert {layer.ifmap.bits for layer in lowered} == {8}
    assert sum(layer.weighted for layer in lowered) == 28
    for layer in lowered:
        if layer.weighted:
            fan_in = layer.C * layer.R * layer.S
            assert layer.weight.bits == 8
            # Never more than 8 + 8 + log2(fan-in), plus one bit for the bias.
            assert layer.psum.bits <= 16 + math.ceil(math.log2(fan_in)) + 1


def test_mobilenet_loses_at_most_half_a_point(trained: tuple[nn.Module, fx.GraphModule]) -> None:
    dataset = fashion_mnist.load(limit=1000)

    def top1(network: nn.Module) -> float:
        with torch.no_grad():
            classes = [network(batch).argmax(1) for batch in torch.split(dataset.images, 100)]
        return float((torch.cat(classes) == dataset.labels).float().mean())

    before, after = (top1(network) for network in trained)
    assert before > 0.925
    assert after >= before - 0.005
