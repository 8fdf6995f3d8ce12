"""Gemmini, 8 x 8, weight stationary with overlapped preload: measured cycles of layers and GEMMs.

Modelled: the array of `hwsim/systolic.py`, fed as Gemmini's controller feeds it (its published
sources: ExecuteController, LoopConv, LoopMatmul), with tiles chosen as its library chooses them
(tiled_matmul_auto, tiled_conv_auto).

- A tile fills at most half of the scratchpad and half of the accumulator, so that the next one
  loads meanwhile. GEMM tiles are whole blocks of 8 x 8, grown from a cube in turn. Convolution
  tiles begin as the whole layer, of which the longest side is cut until they fit (output columns
  not below 8), and grow again while they fit.
- Each window position, 8 input and 8 output channels of a tile are a fold. Its pixels stream in
  blocks of at most 8 in a row of outputs. A block takes as many cycles as it has pixels, but at
  least 4, the distance that two writes to one accumulator address keep; and 8, the rows of weights,
  where the next fold's weights shift in behind it, which is the fold's last block.
- Fill and drain are paid once; DRAM is never waited for.

Nothing was fitted on cycles but one choice: a convolution with few channels could pack several
window columns into the array's rows, which ResNet-18's first layer plainly does not do; that row is
marked. The capacities, which are not published with the counts, were inferred from the tile sizes
that are. Convolutions come out within 0.4 %, large GEMMs 1 % short. Where each weight serves a
single row, the model is 5 % short, some 180 cycles a tile: starting a tile, or waiting for DRAM,
which must bring a weight for every MAC; the counts do not tell which, so neither is modelled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import isqrt
from typing import Any

from hwsim.errors import InputError
from hwsim.systolic import SystolicArray, gemm
from hwsim.validate import Fitted, Row, Target, published
from hwsim.workload import Layer, Op

TARGETS = (Target(quantity="cycles", machine="gemmini_8x8", mean=0.05),)
FITTED = (
    Fitted(
        constant="scratchpad and accumulator, KiB",
        value="64, 16",
        fitted_on="tile sizes published with the cycles",
        checked_on="twelve cycle counts",
    ),
    Fitted(
        constant="packing of window columns into idle rows",
        value="off",
        fitted_on="ResNet-18's first layer",
        checked_on="nothing: no other layer could pack",
    ),
)
SIDES = ("N", "P", "Q", "K", "R", "S", "C")
LEAST_BLOCK_CYCLES = 4
ACCUMULATOR_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Gemmini:
    """A Gemmini of dim x dim PEs for 8-bit words and 32-bit psums; a memory row has dim words."""

    dim: int
    scratchpad_kib: int
    accumulator_kib: int

    def __post_init__(self) -> None:
        if self.dim < 1 or min(self.scratchpad_rows // 2, self.accumulator_rows) < self.dim:
            raise InputError(f"gemmini: dim = {self.dim}: the memories hold no block of that side")

    @property
    def array(self) -> SystolicArray:
        """The mesh of PEs."""
        return SystolicArray(
            rows=self.dim, columns=self.dim, dataflow="weight_stationary", preload="overlapped"
        )

    @property
    def scratchpad_rows(self) -> int:
        """Rows that a tile's operands may take, half of all."""
        return self.scratchpad_kib * 1024 // self.dim // 2

    @property
    def accumulator_rows(self) -> int:
        """Rows that a tile's psums may take, half of all."""
        return self.accumulator_kib * 1024 // (ACCUMULATOR_BYTES * self.dim) // 2

    def blocks(self, size: int) -> int:
        """How many times the array's side a size is, rounded up."""
        return -(-size // self.dim)


def rows() -> Iterator[Row]:
    """Cycles of each layer and GEMM."""
    table = published("gemmini")
    machine = Gemmini(**table["machine"])
    for network, layer, measured in _layers(table):
        yield Row(
            machine=f"gemmini_{machine.dim}x{machine.dim}",
            network=network,
            layer=layer.name,
            quantity="cycles",
            published=measured,
            simulated=cycles(layer, machine),
            source=table["source"],
            fitted=_packable(layer, machine),
        )


def _packable(layer: Layer, machine: Gemmini) -> bool:
    """Whether two columns of a window fit the array's rows."""
    return layer.op is Op.CONV and layer.S > 1 and machine.dim // layer.C > 1


def cycles(layer: Layer, machine: Gemmini) -> int:
    """Cycles of a layer; groups run one after another. Raises InputError without weights."""
    problem, array = gemm(layer), machine.array
    tiled = _conv_streams if layer.op is Op.CONV else _gemm_streams
    folds, streams = tiled(layer, machine)
    busy = problem.count * folds * sum(array.spacing_cycles(stream) for stream in streams)
    return busy + array.preload_cycles + array.skew_cycles


def _conv_streams(layer: Layer, machine: Gemmini) -> tuple[int, list[int]]:
    """How many folds pass each tile of pixels, and for each tile the cycles of one fold."""
    tile = conv_tile(layer, machine)
    channels = [
        sum(machine.blocks(part) for part in _parts(layer.bounds[side], tile[side]))
        for side in ("K", "C")
    ]
    pixels = product(*(_parts(layer.bounds[side], tile[side]) for side in ("N", "P", "Q")))
    streams = [_stream_cycles(n * p, q, machine) for n, p, q in pixels]
    return layer.R * layer.S * channels[0] * channels[1], streams


def _gemm_streams(layer: Layer, machine: Gemmini) -> tuple[int, list[int]]:
    """The same for a GEMM, whose tiles of K and N are whole blocks."""
    problem = gemm(layer)
    tile = machine.dim * gemm_tile(problem.M, problem.N, problem.K, machine)[0]
    streams = [_stream_cycles(1, part, machine) for part in _parts(problem.M, tile)]
    return machine.blocks(problem.K) * machine.blocks(problem.N), streams


def _stream_cycles(lines: int, length: int, machine: Gemmini) -> int:
    """Cycles of a fold's blocks; behind the last one the next fold's weights shift in."""
    blocks = [max(LEAST_BLOCK_CYCLES, part) for part in _parts(length, machine.dim)]
    return lines * sum(blocks) - blocks[-1] + max(machine.dim, blocks[-1])


def _parts(size: int, tile: int) -> list[int]:
    """A size cut into tiles, the last one ragged."""
    return [min(tile, size - start) for start in range(0, size, tile)]


def gemm_tile(M: int, N: int, K: int, machine: Gemmini) -> tuple[int, int, int]:
    """Blocks of M, N and K in a tile."""
    most = [machine.blocks(size) for size in (M, N, K)]
    side = isqrt(machine.accumulator_rows // machine.dim)
    deep = machine.scratchpad_rows // 2 // machine.dim // side
    tile = [min(size, start) for size, start in zip(most, (side, side, deep), strict=True)]

    def grown(axis: int) -> bool:
        larger = [blocks + (axis == place) for place, blocks in enumerate(tile)]
        m, n, k = larger
        held = (m + n) * k * machine.dim <= machine.scratchpad_rows
        summed = m * n * machine.dim <= machine.accumulator_rows
        if not (held and summed and larger[axis] <= most[axis]):
            return False
        tile[axis] += 1
        return True

    while any([grown(axis) for axis in (1, 0, 2)]):
        pass
    return tile[0], tile[1], tile[2]


def conv_tile(layer: Layer, machine: Gemmini) -> dict[str, int]:
    """A tile's size along each side."""
    tile = {side: layer.bounds[side] for side in SIDES}
    while not _fits(tile, layer, machine):
        _cut(tile, machine.dim)

    def grown(side: str) -> bool:
        larger = tile | {side: tile[side] + 1}
        if larger[side] > layer.bounds[side] or not _fits(larger, layer, machine):
            return False
        tile[side] += 1
        return True

    while grown("Q"):
        pass
    while any([grown(side) for side in SIDES]):
        pass
    return tile


def _fits(tile: dict[str, int], layer: Layer, machine: Gemmini) -> bool:
    """Whether a tile's operands and psums fit; its ifmap is taken a stride larger than needed."""
    stride_h, stride_w = (1, 1) if _thinned(layer) else (layer.stride_h, layer.stride_w)
    height = tile["P"] * stride_h + (tile["R"] - 1) * layer.dilation_h
    width = tile["Q"] * stride_w + (tile["S"] - 1) * layer.dilation_w
    ifmap = machine.blocks(tile["C"]) * tile["N"] * height * width
    weights = machine.blocks(tile["K"]) * tile["R"] * tile["S"] * tile["C"]
    psums = machine.blocks(tile["K"]) * tile["N"] * tile["P"] * tile["Q"]
    return ifmap + weights <= machine.scratchpad_rows and psums <= machine.accumulator_rows


def _thinned(layer: Layer) -> bool:
    """Whether only every other row and column is fetched: a 1 x 1 window with a stride of 2."""
    window = layer.R, layer.S, layer.stride_h, layer.stride_w, layer.pad_h, layer.pad_w
    return window == (1, 1, 2, 2, 0, 0) and layer.H % 2 == layer.W % 2 == 0


def _cut(tile: dict[str, int], dim: int) -> None:
    """Shortens the longest side, channels to a multiple of the array's side."""
    if set(tile.values()) == {1}:
        raise InputError(f"gemmini: dim = {dim}: the memories hold no tile of a convolution")
    whole_block = tile["Q"] <= dim and tile["P"] > 1
    side = max((side for side in SIDES if side != "Q" or not whole_block), key=tile.__getitem__)
    step = (tile[side] % dim or dim) if side in "KC" else 1
    tile[side] = max(1, tile[side] - step)


def _layers(table: dict[str, Any]) -> Iterator[tuple[str, Layer, int]]:
    """Network, layer and measured cycles of each entry."""
    for kind, layer in (("conv", _square), ("gemm", _product)):
        for network, entries in table[kind].items():
            for name, at in entries.items():
                yield network, layer(name, at), at["cycles"]


def _square(name: str, at: dict[str, int]) -> Layer:
    return Layer(
        name=name,
        K=at["K"],
        C=at["C"],
        P=at["P"],
        Q=at["P"],
        R=at["R"],
        S=at["R"],
        H=at["H"],
        W=at["H"],
        stride_h=at["stride"],
        stride_w=at["stride"],
        pad_h=at["pad"],
        pad_w=at["pad"],
    )


def _product(name: str, at: dict[str, int]) -> Layer:
    return Layer(name=name, op=Op.LINEAR, N=at["N"], C=at["C"], K=at["K"])
