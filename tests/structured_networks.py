"""Small networks in which channels are tied in every way: drawn at random, and by hand."""

from collections.abc import Callable

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from tests.fixed_point_networks import randomise

CLASSES, COLOURS = 3, 2
IMAGE = (4, COLOURS, 10, 7)


def norm_act(channels: int) -> nn.Sequential:
    """Batch normalisation and a curve that is not zero at zero."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.Sigmoid())


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, hidden, (3, 1), padding=(1, 0))
        self.norm = norm_act(hidden)
        self.second = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, ifmap: Tensor) -> Tensor:
        found: Tensor = ifmap + self.second(self.norm(self.first(ifmap)))
        return torch.relu(found)


class Joined(nn.Module):
    """Two branches side by side; `channels` in all."""

    def __init__(self, c_in: int, left: int, right: int) -> None:
        super().__init__()
        self.left = nn.Conv2d(c_in, left, 3, padding=1)
        self.right = nn.Sequential(nn.Conv2d(c_in, right, 1), nn.PReLU(right))
        self.norm = norm_act(left + right)

    def forward(self, ifmap: Tensor) -> Tensor:
        joined: Tensor = self.norm(torch.cat([self.left(ifmap), self.right(ifmap)], dim=1))
        return joined


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, 3)
        self.excite = nn.Linear(3, channels)

    def forward(self, ifmap: Tensor) -> Tensor:
        batch, channels = ifmap.size(0), ifmap.size(1)
        means = functional.adaptive_avg_pool2d(ifmap, 1).view(batch, channels)
        gates: Tensor = (
            self.excite(self.squeeze(means).relu()).sigmoid().view(batch, channels, 1, 1)
        )
        return ifmap * gates


class PaddedShortcut(nn.Module):
    """A block whose shortcut leaves out every other row and pads channels with zeros."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, stride=(2, 1), padding=1)
        self.norm = nn.BatchNorm2d(c_out)
        above = (c_out - c_in) // 2
        self.pad = nn.ZeroPad3d((0, 0, 0, 0, above, c_out - c_in - above))

    def forward(self, ifmap: Tensor) -> Tensor:
        found: Tensor = torch.relu(self.norm(self.conv(ifmap)) + self.pad(ifmap[:, :, ::2]))
        return found


def depthwise(channels: int, times: int) -> nn.Sequential:
    """A filter or more for each channel."""
    conv = nn.Conv2d(channels, channels * times, (1, 3), padding=(0, 1), groups=channels)
    return nn.Sequential(conv, norm_act(channels * times))


Block = Callable[[st.DrawFn, int], tuple[nn.Module, int]]


def _conv(draw: st.DrawFn, c_in: int) -> tuple[nn.Module, int]:
    c_out = draw(st.integers(1, 4)) * 2
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), norm_act(c_out)), c_out


def _grouped(draw: st.DrawFn, c_in: int) -> tuple[nn.Module, int]:
    groups = 2 if c_in % 2 == 0 else 1
    c_out = draw(st.integers(1, 3)) * groups
    return nn.Conv2d(c_in, c_out, (3, 2), groups=groups, padding=(1, 1)), c_out


def _depthwise(draw: st.DrawFn, c_in: int) -> tuple[nn.Module, int]:
    times = draw(st.integers(1, 2))
    return depthwise(c_in, times), c_in * times


def _residual(draw: st.DrawFn, c_in: int) -> tuple[nn.Module, int]:
    return Residual(c_in, draw(st.integers(2, 5))), c_in


def _joined(draw: st.DrawFn, c_in: int) -> tuple[nn.Module, int]:
    left, right = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return Joined(c_in, left, right), left + right


def _gate(draw: st.DrawFn, c_in: int) -> tuple[nn.Module, int]:
    return Gate(c_in), c_in


def _padded(draw: st.DrawFn, c_in: int) -> tuple[nn.Module, int]:
    c_out = c_in + draw(st.integers(0, 4))
    return PaddedShortcut(c_in, c_out), c_out


def _pool(draw: st.DrawFn, c_in: int) -> tuple[nn.Module, int]:
    return nn.AvgPool2d(3, stride=1, padding=1), c_in


BLOCKS: tuple[Block, ...] = (
    *(_conv, _grouped, _depthwise, _residual, _joined, _gate, _padded, _pool),
)


@st.composite
def networks(draw: st.DrawFn) -> nn.Module:
    """A stem, up to four blocks, flattened into a hidden layer and a head; random weights."""
    width = draw(st.integers(2, 6))
    parts: list[nn.Module] = [nn.Conv2d(COLOURS, width, 3, padding=1), nn.ReLU()]
    for block in draw(st.lists(st.sampled_from(BLOCKS), max_size=4)):
        part, width = block(draw, width)
        parts.append(part)
    rows, columns = draw(st.sampled_from([(1, 1), (2, 3)]))
    hidden = draw(st.integers(2, 5))
    flat = nn.Linear(width * rows * columns, hidden)
    parts += [nn.AdaptiveAvgPool2d((rows, columns)), nn.Flatten(), flat]
    parts += [nn.BatchNorm1d(hidden), nn.Tanh(), nn.Linear(hidden, CLASSES)]
    return randomise(nn.Sequential(*parts), seed=draw(st.integers(0, 99)))
