"""Operators of PyTorch as layers, against PyTorch's own arithmetic and FLOP counter."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from hwsim.workload import Layer, Op
from tests.torch_modules import Forward, Functional, flop_counter_macs, only_layer, read


def windows(layer: Layer, ifmap: Tensor, fill: float) -> Tensor:
    """N x G x C x P x Q x R x S: the words that the points of the loop nest read, by its rule."""
    rows = torch.arange(layer.P)[:, None] * layer.stride_h - layer.pad_h
    rows = rows + torch.arange(layer.R) * layer.dilation_h
    columns = torch.arange(layer.Q)[:, None] * layer.stride_w - layer.pad_w
    columns = columns + torch.arange(layer.S) * layer.dilation_w
    inside = ((rows >= 0) & (rows < layer.H))[:, None, :, None]
    inside = inside & ((columns >= 0) & (columns < layer.W))[None, :, None, :]
    grouped = ifmap.reshape(layer.N, layer.G, layer.C, layer.H, layer.W)
    rows, columns = rows.clamp(0, layer.H - 1), columns.clamp(0, layer.W - 1)
    read_words = grouped[:, :, :, rows[:, None, :, None], columns[None, :, None, :]]
    return torch.where(inside, read_words, fill)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Conv2d, Tensor]:
    """A random convolution, grouped, non-square, strided and dilated, and an ifmap for it."""
    groups = draw(st.integers(1, 3))
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, dilation, stride = draw(pairs), draw(pairs), draw(pairs)
    padding: str | tuple[int, int] = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    if stride == (1, 1):
        padding = draw(st.sampled_from(["same", "valid"]))
    channels = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 3))
    conv = nn.Conv2d(
        *channels, kernel, stride, padding, dilation=dilation, groups=groups, bias=False
    )
    shape = draw(st.integers(1, 2)), channels[0], draw(st.integers(7, 10)), draw(st.integers(7, 9))
    return conv, torch.randn(shape)


@settings(max_examples=40, deadline=None)
@given(convolutions())
def test_the_loop_nest_of_a_convolution_computes_it(case: tuple[nn.Conv2d, Tensor]) -> None:
    conv, ifmap = case
    layer = only_layer(conv, tuple(ifmap.shape))
    weight = conv.weight.reshape(layer.G, layer.K, layer.C, layer.R, layer.S)
    ofmap = torch.einsum("ngcpqrs,gkcrs->ngkpq", windows(layer, ifmap, 0.0), weight)
    torch.testing.assert_close(ofmap.flatten(1, 2), conv(ifmap))


def taps(made: int, size: int, stride: int, pad: int) -> int:
    """How many (output, tap) pairs of one axis have an input, or its padding."""
    return sum((out + pad - tap) % stride == 0 for out in range(made) for tap in range(size))


@pytest.mark.parametrize(
    "part",
    [
        nn.ConvTranspose2d(4, 6, (3, 4), stride=(2, 3), padding=1, output_padding=(1, 2)),
        nn.ConvTranspose2d(4, 6, (3, 5), stride=(3, 1), padding=(0, 2), groups=2),
        nn.ConvTranspose1d(4, 6, 4, stride=2, padding=1),
    ],
)
def test_transposed_convolutions_multiply_no_zeros_between_inputs(
    part: nn.ConvTranspose2d | nn.ConvTranspose1d,
) -> None:
    sizes = (2, 4, 5, 7)[: len(part.kernel_size) + 2]
    net, made = read(nn.Sequential(part, nn.ReLU()), sizes), part(torch.ones(sizes)).shape
    *phases, relu = net
    expected = made[0] * 4 * 6 // part.groups
    pads = [pad for pad in part.padding if isinstance(pad, int)]
    for out, size, stride, pad in zip(made[2:], part.kernel_size, part.stride, pads, strict=True):
        expected *= taps(out, size, stride, pad)
    assert sum(layer.macs for layer in phases) == expected
    assert sum(layer.words("ofmap") for layer in phases) == made.numel()
    assert set(net.edges) == {(layer.name, relu.name) for layer in phases}


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0)),
        nn.MaxPool2d((2, 3), dilation=(2, 1)),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.AdaptiveMaxPool2d((3, 4)),
        nn.AdaptiveMaxPool2d(1),
    ],
)
def test_the_loop_nest_of_a_pool_computes_it(pool: nn.Module) -> None:
    ifmap = torch.randn(2, 3, 9, 8)
    layer = only_layer(pool, (2, 3, 9, 8))
    assert (layer.op, layer.G, layer.K, layer.C) == (Op.POOL, 3, 1, 1)
    ofmap = windows(layer, ifmap, -torch.inf).amax((-2, -1))
    torch.testing.assert_close(ofmap.flatten(1, 2), pool(ifmap))


@pytest.mark.parametrize(
    "forward",
    [
        nn.AdaptiveAvgPool2d(1),
        nn.AvgPool2d((6, 5)),
        lambda x: x.mean((2, 3)),
        lambda x: x.sum((-1, -2)),
    ],
)
def test_global_pooling_reads_each_channel_whole(forward: nn.Module | Forward) -> None:
    layer = only_layer(forward, (2, 4, 6, 5))
    assert layer.op is Op.POOL
    assert (layer.N, layer.G, layer.P, layer.Q, layer.R, layer.S) == (2, 4, 1, 1, 6, 5)


@pytest.mark.parametrize("axes", [0, 1, 2, (0, 1), (1, 2), (0, 1, 2)])
def test_a_mean_reads_all_words_and_writes_what_is_left(axes: int | tuple[int, ...]) -> None:
    layer = only_layer(lambda x: x.mean(axes), (3, 5, 7))
    assert layer.words("ifmap") == 3 * 5 * 7
    assert layer.words("ofmap") == torch.ones(3, 5, 7).mean(axes).numel()


def test_one_dimensional_convolutions_and_pools_have_one_row() -> None:
    conv = nn.Conv1d(4, 6, 5, stride=2, padding=1, groups=2)
    first, second = read(nn.Sequential(conv, nn.MaxPool1d(3)), (2, 4, 21))
    assert (first.N, first.G, first.K, first.C, first.P, first.Q) == (2, 2, 3, 2, 1, 10)
    assert (first.R, first.S, first.H, first.W) == (1, 5, 1, 21)
    assert (second.G, second.P, second.Q, second.S, second.stride_w) == (6, 1, 3, 3, 3)


def test_leading_axes_of_a_linear_layer_fold_into_the_batch() -> None:
    layer = only_layer(nn.Sequential(nn.Linear(7, 3)), (2, 5, 6, 7))
    assert (layer.name, layer.N) == ("0", 60)


@pytest.mark.parametrize(
    ("forward", "sizes", "bounds"),
    [
        (torch.matmul, [(2, 3, 5, 7), (2, 3, 7, 4)], {"G": 6, "N": 5, "K": 4, "C": 7}),
        (torch.matmul, [(2, 3, 5, 7), (7, 4)], {"G": 1, "N": 30, "K": 4, "C": 7}),
        (torch.matmul, [(5, 7), (3, 7, 4)], {"G": 3, "N": 5, "K": 4, "C": 7}),
        (torch.matmul, [(5, 7), (7,)], {"G": 1, "N": 5, "K": 1, "C": 7}),
        (torch.bmm, [(6, 5, 7), (6, 7, 4)], {"G": 6, "N": 5, "K": 4, "C": 7}),
        (torch.mm, [(5, 7), (7, 4)], {"G": 1, "N": 5, "K": 4, "C": 7}),
        (torch.addmm, [(4,), (5, 7), (7, 4)], {"G": 1, "N": 5, "K": 4, "C": 7}),
        (
            lambda a, b: torch.einsum("bqhd,bkhd->bhqk", a, b),
            [(2, 5, 3, 7), (2, 4, 3, 7)],
            {"G": 6, "N": 5, "K": 4, "C": 7},
        ),
    ],
)
def test_products_of_activations(
    forward: Forward, sizes: list[tuple[int, ...]], bounds: dict[str, int]
) -> None:
    layer = only_layer(forward, *sizes)
    assert layer.op is Op.MATMUL
    assert {dim: layer.bounds[dim] for dim in bounds} == bounds
    inputs = tuple(torch.ones(size) for size in sizes)
    if len(sizes[-1]) > 1:  # the counter does not know products with vectors
        assert layer.macs == flop_counter_macs(Functional(forward), inputs)


class Projections(nn.Module):
    """Products with a parameter on the right, and with one on the left."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 7))
        self.mix = nn.Parameter(torch.ones(3, 5))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.mix @ (tokens @ self.weight.t())


def test_products_with_parameters_are_linear_layers() -> None:
    module = nn.Sequential(Projections())
    first, second = read(module, (2, 5, 7))
    assert (first.name, first.op, first.N, first.K, first.C) == ("0", Op.LINEAR, 10, 4, 7)
    assert (second.name, second.op, second.N, second.K, second.C) == (
        "0.matmul",
        Op.LINEAR,
        8,
        3,
        5,
    )
    assert first.macs + second.macs == flop_counter_macs(module, (torch.ones(2, 5, 7),))


def test_local_response_normalisation_is_one_layer_and_its_function_several() -> None:
    layer = only_layer(nn.Sequential(nn.LocalResponseNorm(5)), (2, 8, 6, 7))
    assert (layer.name, layer.op, layer.G, layer.P, layer.Q) == ("0", Op.NORMALISATION, 8, 6, 7)
    assert layer.operands == 1
    network = read(lambda x: functional.local_response_norm(x, 5), (2, 8, 6, 7))
    pool = network["avg_pool3d"]
    assert (pool.op, pool.R, pool.P, pool.Q) == (Op.POOL, 5, 8, 42)
    assert pool.words("ofmap") == 2 * 8 * 6 * 7


@pytest.mark.parametrize(
    ("forward", "op", "operands"),
    [
        (nn.ReLU(inplace=True), Op.ACTIVATION, 1),
        (nn.ReLU6(), Op.ACTIVATION, 1),
        (nn.Hardswish(), Op.ACTIVATION, 1),
        (nn.GELU(), Op.ACTIVATION, 1),
        (nn.SiLU(), Op.ACTIVATION, 1),
        (nn.PReLU(4), Op.ACTIVATION, 1),
        (torch.tanh, Op.ACTIVATION, 1),
        (lambda x: x.clamp(0, 1), Op.ACTIVATION, 1),
        (nn.GroupNorm(2, 4), Op.NORMALISATION, 1),
        (nn.LayerNorm((6, 5)), Op.NORMALISATION, 1),
        (nn.Softmax(1), Op.SOFTMAX, 1),
        (lambda x: x + 1.0, Op.ADD, 1),
        (lambda x: 1.0 - x, Op.ADD, 1),
        (lambda x: x * torch.ones(4, 1, 1), Op.MULTIPLY, 1),
        (lambda x: torch.stack([x, x]), Op.CONCAT, 1),
        (lambda x: x.roll(1, 2), Op.COPY, 1),
    ],
)
def test_weightless_layers_of_one_image(
    forward: nn.Module | Forward, op: Op, operands: int
) -> None:
    layer = only_layer(forward, (2, 4, 6, 5))
    assert (layer.op, layer.operands, layer.macs) == (op, operands, 0)
    if op is not Op.CONCAT:
        assert (layer.N, layer.G, layer.P, layer.Q) == (2, 4, 6, 5)
    assert (layer.K, layer.C, layer.R, layer.S) == (1, 1, 1, 1)
    assert layer.words("ifmap") == layer.words("ofmap")


def test_operands_that_broadcast_round_to_whole_ofmaps() -> None:
    image, gate = (2, 4, 6, 5), (2, 4, 1, 1)
    assert only_layer(torch.add, image, image).words("ifmap") == 2 * 2 * 4 * 6 * 5
    assert only_layer(torch.mul, image, gate).operands == 1
    assert only_layer(lambda x, y: x * y.expand_as(x), image, gate).operands == 1
    assert only_layer(torch.maximum, image, image).op is Op.ADD
    assert only_layer(torch.max, image, image).operands == 2


def test_concatenation_reads_as_much_as_it_writes() -> None:
    layer = only_layer(lambda a, b: torch.cat([a, b], 1), (2, 4, 6, 5), (2, 3, 6, 5))
    assert (layer.op, layer.G) == (Op.CONCAT, 7)
    assert layer.words("ifmap") == layer.words("ofmap") == 2 * 7 * 6 * 5


def test_tokens_lie_along_the_groups() -> None:
    layer = only_layer(nn.Sequential(nn.LayerNorm(8)), (2, 5, 8))
    assert (layer.N, layer.G, layer.P, layer.Q) == (10, 8, 1, 1)


def test_enlarging_moves_data_and_zeros_made_up_are_none() -> None:
    layer = only_layer(nn.Upsample(scale_factor=2, mode="bilinear"), (1, 2, 3, 4))
    assert (layer.op, layer.G, layer.P, layer.Q) == (Op.COPY, 2, 6, 8)
    _, chosen = read(lambda x: torch.where(x > 0, x, torch.zeros_like(x)), (2, 5))
    assert (chosen.op, chosen.operands) == (Op.MULTIPLY, 2)  # what is compared, and x


def test_padding_reads_only_what_is_there() -> None:
    layer = only_layer(nn.ZeroPad2d((1, 2, 3, 4)), (2, 4, 6, 5))
    assert (layer.op, layer.pad_h, layer.pad_w) == (Op.COPY, 3, 1)
    assert (layer.words("ifmap"), layer.words("ofmap")) == (2 * 4 * 6 * 5, 2 * 4 * 13 * 8)
