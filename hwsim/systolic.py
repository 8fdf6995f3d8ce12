"""Systolic arrays in closed form: cycles, utilization and SRAM accesses of a GEMM, to the cycle.

A layer is seen as a matrix product, ofmap[M, N] = ifmap[M, K] x filter[K, N]: M output pixels, N
filters, K words of a filter's window. An array of R x C PEs takes it in folds; operands hop one PE
to the right or down a cycle, so that PE (i, j) sees the t-th word of a stream in cycle t + i + j:

    dataflow            rows of PEs   columns   streamed T   stands still
    output_stationary   M             N         K            psums
    weight_stationary   K             N         M            filter, shifted in from above
    input_stationary    K             M         N            ifmap, shifted in from above

**A fold** fills R x C PEs; the last ones of a side are padded with zeros, for which the schedule
waits but which are not read. The last word, T - 1, reaches the last PE in cycle T - 1 + R - 1 +
C - 1, so a fold streams for T + R + C - 2 cycles; where an operand stands still, R cycles of
shifting it in come first. No drain follows. With psums passing down a column, a result leaves in
the cycle of its last MAC. With outputs stationary, a column's PEs finish one a cycle, from the top,
so that one bus a column carries the results as they come.

**Folds** follow each other when the array is empty (`preload="serial"`), every T + R + C - 2
(+ R) cycles, or as early as they can (`preload="overlapped"`, as on TPU v1 and Gemmini): the next
operand shifts into shadow registers behind the present one's wavefront, R cycles, while the present
stream passes, T cycles. A fold then starts max(R, T) cycles after the one before it, and fill and
drain are paid once. Stationary outputs need the same distance: a column's bus is busy for R cycles.

**SRAM.** A streamed operand is read again for every fold across its other side, a stationary one
once. Stationary outputs are written once. Otherwise each of the ceil(K / R) folds down the window
writes its psums, and all but the first read what the one before wrote (`sram_psum_reads`).

**SCALE-Sim** (Samajdar et al., ISPASS 2020; version 3.0.0 as run) is this model with preload
serial. Zero-padded folds, one read a word and an array that drains between folds are conventions
and shared. Defects, kept behind `scalesim_compatible=True`:

    cycles            the last cycle's index, one less than their number; utilization is of that
    ofmap writes      output stationary: R + C bubbles a fold are counted as writes
    psum reads        none, though every later fold down the window adds to stored psums
    padding           dropped, but a window that begins inside the ifmap counts in full
    groups            none: a depthwise layer becomes one filter over all channels, any other
                      grouped layer a dense one
"""

from dataclasses import dataclass
from math import ceil
from typing import Literal

from hwsim.errors import InputError, UnknownNameError
from hwsim.workload import Layer

DATAFLOWS = {
    "os": "output_stationary",
    "ws": "weight_stationary",
    "is": "input_stationary",
}
PRELOADS = ("serial", "overlapped")


@dataclass(frozen=True, kw_only=True)
class Gemm:
    """`count` independent products of an M x K by a K x N matrix. Raises InputError."""

    M: int
    N: int
    K: int
    count: int = 1

    def __post_init__(self) -> None:
        _positive("gemm", M=self.M, N=self.N, K=self.K, count=self.count)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all products."""
        return self.count * self.M * self.N * self.K


@dataclass(frozen=True, kw_only=True)
class SystolicArray:
    """A grid of one-MAC PEs; `dataflow` is output_, weight_ or input_stationary, or os, ws, is.

    Raises InputError.
    """

    rows: int
    columns: int
    dataflow: str
    preload: Literal["serial", "overlapped"] = "serial"

    def __post_init__(self) -> None:
        _positive("systolic array", rows=self.rows, columns=self.columns)
        name = DATAFLOWS.get(self.dataflow.lower(), self.dataflow)
        known = (*DATAFLOWS, *DATAFLOWS.values())
        _known("systolic dataflow", name, known)
        _known("preload", self.preload, PRELOADS)
        object.__setattr__(self, "dataflow", name)

    @property
    def pes(self) -> int:
        """MAC units."""
        return self.rows * self.columns

    @property
    def preload_cycles(self) -> int:
        """Cycles to shift a stationary operand in from above; psums start at zero."""
        return 0 if self.dataflow == "output_stationary" else self.rows

    @property
    def skew_cycles(self) -> int:
        """Cycles from a word's first PE to its last: the wavefront's way across the array."""
        return self.rows + self.columns - 2

    def fold_cycles(self, streamed: int) -> int:
        """Cycles of one fold by itself, from the first word shifted in to the last MAC."""
        return self.preload_cycles + streamed + self.skew_cycles

    def spacing_cycles(self, streamed: int) -> int:
        """Cycles from the start of a fold to the start of the next."""
        if self.preload == "overlapped":
            return max(self.rows, streamed)
        return self.fold_cycles(streamed)


@dataclass(frozen=True, kw_only=True)
class SystolicCost:
    """What a GEMM costs on an array.

    `utilization`: MACs per PE and cycle, 0..1. `mapping_efficiency`: share of PEs that a fold has
    work for, mean over folds. `sram_*`: words.
    """

    cycles: int
    folds: int
    utilization: float
    mapping_efficiency: float
    sram_ifmap_reads: int
    sram_filter_reads: int
    sram_ofmap_writes: int
    sram_psum_reads: int


def gemm(layer: Layer, *, scalesim_compatible: bool = False) -> Gemm:
    """A layer as matrix products, one a group; words of zero padding are part of the ifmap matrix.

    Raises InputError for a layer without weights.
    """
    if not layer.weighted:
        raise InputError(f"layer {layer.name!r}: op = {layer.op}: has no weights, so it is no GEMM")
    if scalesim_compatible:
        return _scalesim_gemm(layer)
    pixels, window = layer.N * layer.P * layer.Q, layer.C * layer.R * layer.S
    return Gemm(M=pixels, N=layer.K, K=window, count=layer.G)


def systolic_cost(
    problem: Gemm, array: SystolicArray, *, scalesim_compatible: bool = False
) -> SystolicCost:
    """Cycles and SRAM accesses of GEMMs that follow each other, by this module's closed forms.

    Raises InputError where SCALE-Sim is asked for overlapped preload, which it does not model.
    """
    if scalesim_compatible and array.preload != "serial":
        raise InputError(
            f"systolic array: preload = {array.preload!r}: SCALE-Sim has only 'serial'"
        )
    rows, columns, streamed = _sides(problem, array.dataflow)
    down, across = -(-rows // array.rows), -(-columns // array.columns)
    folds = problem.count * down * across
    cycles = (folds - 1) * array.spacing_cycles(streamed) + array.fold_cycles(streamed)
    ifmap, filters, ofmap = _passes(array.dataflow, down, across)
    outputs = problem.count * problem.M * problem.N
    writes, psum_reads = outputs * ofmap, outputs * (ofmap - 1)
    if scalesim_compatible:
        cycles, psum_reads = cycles - problem.count, 0
        if array.dataflow == "output_stationary":
            writes += folds * (array.rows + array.columns)
    return SystolicCost(
        cycles=cycles,
        folds=folds,
        utilization=problem.macs / (array.pes * cycles) if cycles else 0.0,
        mapping_efficiency=rows * columns / (down * across * array.pes),
        sram_ifmap_reads=problem.count * problem.M * problem.K * ifmap,
        sram_filter_reads=problem.count * problem.K * problem.N * filters,
        sram_ofmap_writes=writes,
        sram_psum_reads=psum_reads,
    )


def _sides(problem: Gemm, dataflow: str) -> tuple[int, int, int]:
    """What lies along the rows and the columns of PEs, and what streams."""
    return {
        "output_stationary": (problem.M, problem.N, problem.K),
        "weight_stationary": (problem.K, problem.N, problem.M),
        "input_stationary": (problem.K, problem.M, problem.N),
    }[dataflow]


def _passes(dataflow: str, down: int, across: int) -> tuple[int, int, int]:
    """How often each word of ifmap, filter and ofmap passes between SRAM and array."""
    return {
        "output_stationary": (across, down, 1),
        "weight_stationary": (across, 1, down),
        "input_stationary": (1, across, down),
    }[dataflow]


def _scalesim_gemm(layer: Layer) -> Gemm:
    """The product that SCALE-Sim makes of a layer: no padding, no groups."""
    if max(layer.dilation_h, layer.dilation_w) > 1:
        raise InputError(f"layer {layer.name!r}: dilated: SCALE-Sim knows no dilation")
    if layer.R > layer.H or layer.S > layer.W:
        raise InputError(
            f"layer {layer.name!r}: a {layer.R} x {layer.S} window on an ifmap of {layer.H} x "
            f"{layer.W}: SCALE-Sim knows no padding"
        )
    height = ceil((layer.H - layer.R) / layer.stride_h) + 1
    width = ceil((layer.W - layer.S) / layer.stride_w) + 1
    depthwise = layer.G > 1 and layer.C == 1
    return Gemm(
        M=layer.N * height * width,
        N=layer.K if depthwise else layer.G * layer.K,
        K=layer.G * layer.C * layer.R * layer.S,
    )


def _positive(owner: str, **sizes: int) -> None:
    for key, value in sizes.items():
        if value < 1:
            raise InputError(f"{owner}: {key} = {value}: must be at least 1")


def _known(kind: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise UnknownNameError(kind=kind, name=name, known=known)
