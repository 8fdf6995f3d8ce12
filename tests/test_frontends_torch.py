"""PyTorch modules as networks, against PyTorch's own arithmetic, shapes and FLOP counter."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwsim import registry
from hwsim.errors import InputError, UnsupportedOperatorError
from hwsim.frontends.torch import network_from_torch
from hwsim.workload import Op
from tests.torch_modules import Forward, Functional, flop_counter_macs, only_layer, read


def hooked_shapes(module: nn.Module, inputs: Tensor) -> dict[str, tuple[torch.Size, torch.Size]]:
    """Input and output shape of every convolution and linear module in a real forward pass."""
    shapes: dict[str, tuple[torch.Size, torch.Size]] = {}

    def watch(name: str, part: nn.Module) -> None:
        part.register_forward_hook(
            lambda _, given, made: shapes.update({name: (given[0].shape, made.shape)})
        )

    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            watch(name, part)
    with torch.no_grad():
        module(inputs)
    return shapes


@pytest.mark.parametrize("name", registry.names("network"))
def test_shipped_networks_agree_with_pytorch(name: str) -> None:
    found = registry.module("network", name)
    with torch.device("meta"):
        module, images = found.build(), torch.ones(1, *found.INPUT_SHAPE)
    network = network_from_torch(module, (images,), name=name)
    shapes = hooked_shapes(module, images)
    assert sum(layer.macs for layer in network) == flop_counter_macs(module, (images,))
    assert {layer.name for layer in network if layer.weighted} == shapes.keys()
    for path, (read_shape, made_shape) in shapes.items():
        layer, weight = network[path], module.get_submodule(path).weight
        assert layer.words("weight") == weight.numel()
        assert layer.words("ifmap") == read_shape.numel()
        assert layer.words("ofmap") == made_shape.numel()
        if len(made_shape) == 4:
            assert tuple(made_shape[2:]) == (layer.P, layer.Q)
            assert tuple(read_shape[2:]) == (layer.H, layer.W)
            assert tuple(weight.shape) == (layer.G * layer.K, layer.C, layer.R, layer.S)


def test_networks_know_their_batch_norms_folded() -> None:
    found = registry.module("network", "mobilenet_v2")
    with torch.device("meta"):
        module = found.build()
    network = network_from_torch(module, (torch.ones(1, *found.INPUT_SHAPE),), name="v2")
    norms = {name for name, part in module.named_modules() if isinstance(part, nn.BatchNorm2d)}
    assert norms <= set(network.views)
    assert not any(layer.op is Op.NORMALISATION for layer in network)


@pytest.mark.parametrize("batch", [1, 64])
def test_a_network_of_one_linear_layer(batch: int) -> None:
    layer = only_layer(nn.Linear(7, 3), (batch, 7))
    assert (layer.name, layer.op) == ("linear", Op.LINEAR)
    assert (layer.N, layer.K, layer.C, layer.macs) == (batch, 3, 7, batch * 21)


def test_batch_stays_the_batch() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Softmax(1))
    assert [layer.N for layer in read(net, (64, 3, 8, 10))] == [64] * 4


class Attention(nn.Module):
    """Self-attention over the fused operator, 2 heads of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, tokens: Tensor) -> Tensor:
        split = self.qkv(tokens).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*split.unbind())
        ofmap: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return ofmap


def test_fused_attention_is_two_products_and_a_softmax() -> None:
    network = read(Attention(), (3, 5, 8))
    assert [(layer.name, layer.op) for layer in network] == [
        ("qkv", Op.LINEAR),
        ("attention.scores", Op.MATMUL),
        ("attention.softmax", Op.SOFTMAX),
        ("attention.context", Op.MATMUL),
        ("out", Op.LINEAR),
    ]
    assert network["attention.scores"].bounds["G"] == 6
    assert network["attention.softmax"].words("ofmap") == 6 * 5 * 5
    assert set(network.edges) == {
        ("qkv", "attention.scores"),
        ("attention.scores", "attention.softmax"),
        ("attention.softmax", "attention.context"),
        ("qkv", "attention.context"),
        ("attention.context", "out"),
    }
    macs = sum(layer.macs for layer in network)
    assert macs == flop_counter_macs(Attention(), (torch.ones(3, 5, 8),))


def test_multi_head_attention_finds_its_weights() -> None:
    module = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2)
    network = read(module, (2, 5, 16))
    assert {layer.name for layer in network if layer.op is Op.LINEAR} == {
        f"layers.{block}.{part}"
        for block in range(2)
        for part in ("self_attn.linear", "self_attn.out_proj", "linear1", "linear2")
    }
    weights = sum(p.numel() for p in module.parameters() if p.dim() == 2)
    assert sum(layer.words("weight") for layer in network if layer.op is Op.LINEAR) == weights
    # Train mode keeps PyTorch off its fused kernel, which the counter does not know.
    macs = flop_counter_macs(module.train(), (torch.ones(2, 5, 16),))
    assert sum(layer.macs for layer in network) == macs


class Block(nn.Module):
    """A residual block that calls functions, and one module twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, (3, 1), padding=(1, 0))
        self.norm = nn.BatchNorm2d(4)

    def forward(self, ifmap: Tensor) -> Tensor:
        hidden = functional.relu(self.norm(self.conv(ifmap)))
        return functional.relu_(self.norm(self.conv(hidden)) + ifmap)


def test_names_and_edges_of_functional_calls_and_reused_modules() -> None:
    network = read(nn.Sequential(Block(), Block()), (2, 4, 6, 5))
    names = ["0.conv", "0.relu", "0.conv_1", "0.add", "0.relu_1"]
    assert [layer.name for layer in network][:5] == names
    assert [layer.name for layer in network][5] == "1.conv"
    assert network["0.add"].operands == 2
    assert network["0.conv_1"].words("weight") == 4 * 4 * 3
    assert set(network.edges) >= {
        ("0.conv", "0.relu"),
        ("0.relu", "0.conv_1"),
        ("0.conv_1", "0.add"),
        ("0.add", "0.relu_1"),
        ("0.relu_1", "1.conv"),
        ("0.relu_1", "1.add"),
    }
    assert len(network.edges) == 10
    assert "0.norm" in network.views


def test_a_number_never_makes_the_name_of_another_module() -> None:
    class Crossed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.fc_1 = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            ofmap: Tensor = self.fc_1(self.fc(self.fc(x)))
            return ofmap

    assert [layer.name for layer in read(Crossed(), (2, 4))] == ["fc", "fc_2", "fc_1"]


def test_a_batch_norm_with_other_readers_before_it_is_a_layer() -> None:
    class Split(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.conv(x)
            ofmap: Tensor = self.norm(hidden) * hidden
            return ofmap

    network = read(Split(), (2, 3, 6, 5))
    assert [layer.op for layer in network] == [Op.CONV, Op.NORMALISATION, Op.MULTIPLY]
    assert read(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1)), (2, 3, 6, 5))["0"]


def test_reflected_padding_does_not_take_the_name_of_its_convolution() -> None:
    conv = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
    copy, layer = read(nn.Sequential(conv), (2, 3, 6, 5))
    assert (copy.name, layer.name, layer.pad_h, layer.H) == ("0.pad", "0", 0, 8)


def test_views_are_listed_and_skipped_by_edges() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(), nn.Flatten(), nn.Linear(120, 2))
    network = read(net, (2, 3, 6, 5))
    assert network.views == ("1", "2")
    assert network.edges == (("0", "3"),)


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x[:, :2].relu(),
        lambda x: x.permute(0, 2, 3, 1).contiguous().relu(),
        lambda x: x.chunk(2, 1)[0].relu(),
        lambda x: x.view(2, 2, 2, 30).transpose(1, 2).reshape(2, 4, 6, 5).relu(),
    ],
)
def test_moving_no_data_makes_no_layer(forward: Forward) -> None:
    assert only_layer(forward, (2, 4, 6, 5)).op is Op.ACTIVATION


@pytest.mark.parametrize(
    ("part", "size", "operator"),
    [
        (nn.ConvTranspose2d(3, 4, 2, dilation=2), (1, 3, 6, 5), "aten.conv_transpose2d"),
        (nn.LSTM(4, 5), (6, 2, 4), "aten.lstm"),
        (Functional(lambda x: torch.fft.fft(x).real), (2, 8), "aten.fft_fft"),
        (Functional(lambda x: x[x > 0]), (2, 8), "aten.index"),
        (Functional(lambda x: torch.einsum("ij,jk->i", x, x)), (4, 4), "aten.einsum"),
        (nn.AvgPool3d(2), (1, 3, 4, 6, 8), "aten.avg_pool3d"),
    ],
)
def test_an_operator_without_a_model_is_named(
    part: nn.Module, size: tuple[int, ...], operator: str
) -> None:
    holder = nn.Sequential()
    holder.add_module("odd", part)
    with pytest.raises(UnsupportedOperatorError) as caught:
        read(holder, size)
    message = str(caught.value)
    assert message.startswith(f"network 'sample': odd: operator {operator}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("forward", "size"),
    [
        (Functional(lambda x: x if x.sum() > 0 else -x), (2, 4)),
        (nn.Linear(3, 4), (2, 5)),
        (Functional(lambda x, y: x + y), (2, 5)),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    forward: nn.Module, size: tuple[int, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"^network 'sample': cannot be exported: .+$") as caught:
        read(forward, size)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_network_without_operators_is_refused() -> None:
    with pytest.raises(InputError, match="has no layers"):
        read(nn.Flatten(), (2, 3, 4))


def test_the_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    module[1].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    network = read(module, (2, 3, 6, 5))
    assert [part.training for part in module] == [True, False, True]
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert network == read(module, (2, 3, 6, 5))


def test_networks_may_be_built_on_the_meta_device() -> None:
    with torch.device("meta"):
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    assert read(module, (2, 3, 8, 7))["0"].macs == 2 * 4 * 3 * 9 * 6 * 5


def test_the_simulator_does_not_import_torch() -> None:
    code = "import sys, hwsim, hwsim.workload, hwsim.frontends; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
