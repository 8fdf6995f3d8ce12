"""Systolic arrays: closed forms against arrays of registers that are clocked cycle by cycle."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from itertools import count, pairwise
from typing import Literal, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.systolic import Gemm, SystolicArray, gemm, systolic_cost
from hwsim.workload import Layer, Op

Matrix = NDArray[np.int64]
Preload = Literal["serial", "overlapped"]
EMPTY = -1

sizes = st.integers(1, 7)
sides = st.integers(1, 4)
dataflows = st.sampled_from(("os", "ws", "is"))
preloads: st.SearchStrategy[Preload] = st.sampled_from(("serial", "overlapped"))


class ClashError(Exception):
    """Two words wanted one wire or one register in the same cycle."""


@dataclass
class Run:
    """What a clocked array did; `spans` holds the first and the last busy cycle of each fold."""

    product: Matrix
    words: Counter[str] = field(default_factory=Counter)
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)

    def note(self, tensor: str, real: NDArray[np.bool_]) -> None:
        """Counts the words that are not padding."""
        self.words[tensor] += int(real.sum())

    @property
    def cycles(self) -> int:
        return max(last for _, last in self.spans.values()) + 1

    @property
    def overlapping(self) -> bool:
        spans = [self.spans[fold] for fold in sorted(self.spans)]
        return any(last >= first for (_, last), (first, _) in pairwise(spans))


def padded(matrix: Matrix, rows: int, columns: int) -> Matrix:
    """Zeros at the far ends, so that every fold can be cut out whole."""
    return np.pad(matrix, ((0, rows), (0, columns)))


def hop(registers: Matrix, axis: int, entering: Matrix) -> Matrix:
    """Registers after each has taken its neighbour's word, the first ones what enters."""
    ahead = np.delete(registers, -1, axis)
    return np.concatenate((np.expand_dims(entering, axis), ahead), axis)


def under_way(time: int, starts: list[int], cycles: int) -> list[int]:
    """The folds that started within the last so many cycles."""
    return [fold for fold, start in enumerate(starts) if 0 <= time - start < cycles]


def arrivals(time: int, starts: list[int], ports: int, length: int) -> Matrix:
    """What enters each port now, as fold * length + word; port n lags n cycles behind port 0."""
    tags = np.full(ports, EMPTY)
    for fold in under_way(time, starts, length + ports):
        word = time - starts[fold] - np.arange(ports)
        due = (word >= 0) & (word < length)
        if (tags[due] != EMPTY).any():
            raise ClashError("two streams at one port")
        tags[due] = fold * length + word[due]
    return tags


class OutputStationary:
    """Psums stand, the ifmap a moves right, the filters b move down, one bus a column leads out."""

    def __init__(self, a: Matrix, b: Matrix, rows: int, columns: int, spacing: int) -> None:
        (self.M, self.K), self.N = a.shape, b.shape[1]
        self.a, self.b = padded(a, rows, 0), padded(b, 0, columns)
        corners = [(m, n) for m in range(0, self.M, rows) for n in range(0, self.N, columns)]
        self.m0, self.n0 = np.array(corners).T
        self.starts = [fold * spacing for fold in range(len(corners))]
        self.run = Run(np.zeros((self.M + rows, self.N + columns), int))
        self.right, self.down, self.psums = (np.zeros((rows, columns), int) for _ in range(3))
        self.right_tags, self.down_tags = (np.full((rows, columns), EMPTY) for _ in range(2))
        self.unfinished = len(corners) * rows * columns

    def step(self, time: int) -> None:
        """One clock cycle."""
        self.feed_ifmap(time)
        self.feed_filter(time)
        assert (self.right_tags == self.down_tags).all()
        first_word = self.right_tags % self.K == 0
        self.psums = np.where(first_word, 0, self.psums) + self.right * self.down
        self.collect(time)

    def feed_ifmap(self, time: int) -> None:
        """A word to each row of PEs, from the left."""
        tags = arrivals(time, self.starts, len(self.right), self.K)
        m = self.m0[tags // self.K] + np.arange(len(tags))
        self.run.note("ifmap", (tags != EMPTY) & (m < self.M))
        self.right = hop(self.right, 1, np.where(tags == EMPTY, 0, self.a[m, tags % self.K]))
        self.right_tags = hop(self.right_tags, 1, tags)

    def feed_filter(self, time: int) -> None:
        """A word to each column of PEs, from above."""
        tags = arrivals(time, self.starts, self.down.shape[1], self.K)
        n = self.n0[tags // self.K] + np.arange(len(tags))
        self.run.note("filter", (tags != EMPTY) & (n < self.N))
        self.down = hop(self.down, 0, np.where(tags == EMPTY, 0, self.b[tags % self.K, n]))
        self.down_tags = hop(self.down_tags, 0, tags)

    def collect(self, time: int) -> None:
        """PEs that have seen a stream's last word put their psum on their column's bus."""
        done = (self.right_tags != EMPTY) & (self.right_tags % self.K == self.K - 1)
        if (done.sum(axis=0) > 1).any():
            raise ClashError("two results on one bus")
        folds = self.right_tags[done] // self.K
        row, column = np.nonzero(done)
        m, n = self.m0[folds] + row, self.n0[folds] + column
        self.run.product[m, n] = self.psums[done]
        self.run.note("ofmap", (m < self.M) & (n < self.N))
        self.run.spans |= {int(fold): (self.starts[fold], time) for fold in folds}
        self.unfinished -= len(folds)


class WeightStationary:
    """Filters b stand, the ifmap a moves right, psums move down to the accumulators and back in.

    Weights come in from above through shadow registers. A column lags one cycle behind the one to
    its left.
    """

    def __init__(self, a: Matrix, b: Matrix, rows: int, columns: int, spacing: int) -> None:
        (self.M, self.K), self.N = a.shape, b.shape[1]
        self.a, self.b = padded(a, 0, rows), padded(b, rows, columns)
        corners = [(k, n) for n in range(0, self.N, columns) for k in range(0, self.K, rows)]
        self.k0, self.n0 = np.array(corners).T
        self.loads = [fold * spacing for fold in range(len(corners))]
        self.starts = [load + rows for load in self.loads]
        self.run = Run(np.zeros((self.M, self.N + columns), int))
        grids = (np.zeros((rows, columns), int) for _ in range(4))
        self.right, self.psums, self.weights, self.shadow = grids
        self.tags = np.full((rows, columns), EMPTY)
        self.waiting = np.zeros((rows, columns), bool)
        self.unfinished = len(corners) * self.M * columns

    def step(self, time: int) -> None:
        """One clock cycle."""
        self.swap(time)
        self.feed_ifmap(time)
        self.feed_psums(time)
        self.psums = self.psums + self.right * self.weights
        self.collect(time)
        for fold in under_way(time, self.loads, sum(self.shadow.shape)):
            self.shift_in(time, fold)

    def swap(self, time: int) -> None:
        """A fold's weights come into force just ahead of the first word of its stream."""
        i, j = np.indices(self.weights.shape)
        for fold in under_way(time, self.starts, sum(self.weights.shape)):
            front = i + j == time - self.starts[fold]
            self.weights = np.where(front, self.shadow, self.weights)
            self.waiting &= ~front

    def feed_ifmap(self, time: int) -> None:
        """A word to each row of PEs, from the left."""
        tags = arrivals(time, self.starts, len(self.right), self.M)
        k = self.k0[tags // self.M] + np.arange(len(tags))
        self.run.note("ifmap", (tags != EMPTY) & (k < self.K))
        self.right = hop(self.right, 1, np.where(tags == EMPTY, 0, self.a[tags % self.M, k]))

    def feed_psums(self, time: int) -> None:
        """To each column, from above, what earlier folds down the window have summed up."""
        tags = arrivals(time, self.starts, self.psums.shape[1], self.M)
        n = self.n0[tags // self.M] + np.arange(len(tags))
        resumed = (tags != EMPTY) & (self.k0[tags // self.M] > 0)
        self.run.note("psum", resumed & (n < self.N))
        entering = np.where(resumed, self.run.product[tags % self.M, n], 0)
        self.psums = hop(self.psums, 0, entering)
        self.tags = hop(self.tags, 0, tags)

    def collect(self, time: int) -> None:
        """Psums leave at the foot of each column."""
        column = np.flatnonzero(self.tags[-1] != EMPTY)
        folds, m = np.divmod(self.tags[-1, column], self.M)
        n = self.n0[folds] + column
        self.run.product[m, n] = self.psums[-1, column]
        self.run.note("ofmap", n < self.N)
        self.run.spans |= {int(fold): (self.loads[fold], time) for fold in folds}
        self.unfinished -= len(folds)

    def shift_in(self, time: int, fold: int) -> None:
        """The lowest row's weight goes first; a PE stops taking new ones once it has its own."""
        rows, columns = self.shadow.shape
        step = time - self.loads[fold] - np.arange(columns)
        moving = (step >= np.arange(rows)[:, None]) & (step < rows)
        if self.waiting[moving].any():
            raise ClashError("a weight is overwritten before its use")
        k = self.k0[fold] + rows - 1 - np.clip(step, 0, rows - 1)
        n = self.n0[fold] + np.arange(columns)
        self.run.note("filter", moving[0] & (k < self.K) & (n < self.N))
        self.shadow = np.where(moving, hop(self.shadow, 0, self.b[k, n]), self.shadow)
        self.waiting |= moving & (step == rows - 1)


def simulated(dataflow: str, a: Matrix, b: Matrix, rows: int, columns: int, spacing: int) -> Run:
    """a[M, K] x b[K, N], a fold starting `spacing` cycles after another. Raises ClashError."""
    if dataflow == "is":
        run = simulated("ws", b.T, a.T, rows, columns, spacing)
        words = run.words | {"ifmap": run.words["filter"], "filter": run.words["ifmap"]}
        return Run(run.product.T, Counter(words), run.spans)
    kind = OutputStationary if dataflow == "os" else WeightStationary
    array = kind(a, b, rows, columns, spacing)
    time = 0
    while array.unfinished:
        array.step(time)
        time += 1
    array.run.product = array.run.product[: len(a), : b.shape[1]]
    return array.run


def closest(dataflow: str, preload: str, a: Matrix, b: Matrix, rows: int, columns: int) -> Run:
    """The run with the closest folds that the array allows, found by trying."""
    for spacing in count(1):
        try:
            run = simulated(dataflow, a, b, rows, columns, spacing)
        except ClashError:
            continue
        if preload == "overlapped" or not run.overlapping:
            return run
    raise AssertionError


@settings(deadline=None)
@given(sizes, sizes, sizes, sides, sides, dataflows, preloads, sizes)
def test_closed_forms_equal_the_clocked_array(
    M: int, N: int, K: int, rows: int, columns: int, dataflow: str, preload: Preload, seed: int
) -> None:
    """The product is right, and every cycle and word is foretold."""
    random = np.random.default_rng(seed)
    a, b = random.integers(-9, 9, (M, K)), random.integers(-9, 9, (K, N))
    run = closest(dataflow, preload, a, b, rows, columns)
    array = SystolicArray(rows=rows, columns=columns, dataflow=dataflow, preload=preload)
    cost = systolic_cost(Gemm(M=M, N=N, K=K), array)
    assert (run.product == a @ b).all()
    assert run.cycles == cost.cycles
    assert run.words["ifmap"] == cost.sram_ifmap_reads
    assert run.words["filter"] == cost.sram_filter_reads
    assert run.words["ofmap"] == cost.sram_ofmap_writes
    assert run.words["psum"] == cost.sram_psum_reads
    assert len(run.spans) == cost.folds


def test_a_fold_worked_by_hand() -> None:
    """2 x 3 PEs, five words a stream: in at 0, at the last PE from 3 to 7, weights 2 before."""
    array = SystolicArray(rows=2, columns=3, dataflow="ws")
    cost = systolic_cost(Gemm(M=5, N=3, K=2), array)
    assert (cost.cycles, cost.folds) == (2 + 8, 1)
    assert cost.utilization == pytest.approx(30 / 60)
    assert cost.mapping_efficiency == 1.0


@given(sizes, sizes, sizes, sides, sides, dataflows)
def test_mapping_efficiency_is_the_mean_share_of_pes_with_work(
    M: int, N: int, K: int, rows: int, columns: int, dataflow: str
) -> None:
    """Counted fold by fold."""
    down, across = {"os": (M, N), "ws": (K, N), "is": (K, M)}[dataflow]
    shares = [
        min(rows, down - i) * min(columns, across - j) / (rows * columns)
        for i in range(0, down, rows)
        for j in range(0, across, columns)
    ]
    array = SystolicArray(rows=rows, columns=columns, dataflow=dataflow)
    cost = systolic_cost(Gemm(M=M, N=N, K=K), array)
    assert cost.mapping_efficiency == pytest.approx(sum(shares) / len(shares))
    assert 0 < cost.utilization <= cost.mapping_efficiency


@given(sizes, sizes, sizes, sides, sides, dataflows, st.integers(1, 4))
def test_independent_products_follow_each_other(
    M: int, N: int, K: int, rows: int, columns: int, dataflow: str, times: int
) -> None:
    """Everything of one, as often as there are products."""
    array = SystolicArray(rows=rows, columns=columns, dataflow=dataflow)
    one = asdict(systolic_cost(Gemm(M=M, N=N, K=K), array))
    many = asdict(systolic_cost(Gemm(M=M, N=N, K=K, count=times), array))
    shares = ("utilization", "mapping_efficiency")
    assert [many[key] for key in shares] == [pytest.approx(one[key]) for key in shares]
    assert all(many[key] == times * one[key] for key in one if key not in shares)


@given(sizes, sizes, sizes, sides, sides, dataflows)
def test_the_compatibility_switch_brings_back_each_known_defect(
    M: int, N: int, K: int, rows: int, columns: int, dataflow: str
) -> None:
    """Nothing else changes."""
    array = SystolicArray(rows=rows, columns=columns, dataflow=dataflow)
    problem = Gemm(M=M, N=N, K=K)
    true = systolic_cost(problem, array)
    bubbles = true.folds * (rows + columns) if dataflow == "os" else 0
    compatible = replace(
        true,
        cycles=true.cycles - 1,
        utilization=problem.macs / (rows * columns * (true.cycles - 1)) if true.cycles > 1 else 0,
        sram_ofmap_writes=true.sram_ofmap_writes + bubbles,
        sram_psum_reads=0,
    )
    assert systolic_cost(problem, array, scalesim_compatible=True) == compatible


# Non-square: 9 x 7 words, padded by 1 and 2, 3 x 5 windows, stride 2 x 1.
CONV = Layer(
    name="conv", N=2, G=2, K=6, C=4, P=5, Q=7, R=3, S=5, H=9, W=7, stride_h=2, pad_h=1, pad_w=2
)


def test_a_layer_is_one_product_a_group() -> None:
    assert gemm(CONV) == Gemm(M=2 * 5 * 7, N=6, K=4 * 3 * 5, count=2)
    assert gemm(CONV).macs == CONV.macs
    linear = Layer(name="linear", op=Op.LINEAR, N=3, C=100, K=10)
    assert gemm(linear) == gemm(linear, scalesim_compatible=True) == Gemm(M=3, N=10, K=100)


def test_scalesim_drops_padding_and_groups() -> None:
    """(9 - 3) / 2 + 1 rows and (7 - 5) / 1 + 1 columns; all groups' channels in one window."""
    assert gemm(CONV, scalesim_compatible=True) == Gemm(M=2 * 4 * 3, N=12, K=8 * 3 * 5)
    depthwise = replace(CONV, G=8, K=1, C=1)
    assert gemm(depthwise, scalesim_compatible=True) == Gemm(M=2 * 4 * 3, N=1, K=8 * 3 * 5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: gemm(Layer(name="p", op=Op.POOL)), "layer 'p': op = pool: has no weights"),
        (lambda: Gemm(M=1, N=0, K=1), "gemm: N = 0"),
        (lambda: SystolicArray(rows=0, columns=1, dataflow="os"), "systolic array: rows = 0"),
        (lambda: SystolicArray(rows=1, columns=1, dataflow="rs"), "unknown systolic dataflow 'rs'"),
        (
            lambda: SystolicArray(rows=1, columns=1, dataflow="os", preload=cast(Preload, "no")),
            "unknown preload 'no'",
        ),
        (
            lambda: systolic_cost(
                Gemm(M=1, N=1, K=1),
                SystolicArray(rows=1, columns=1, dataflow="ws", preload="overlapped"),
                scalesim_compatible=True,
            ),
            "preload = 'overlapped'",
        ),
        (
            lambda: gemm(Layer(name="d", R=2, dilation_h=2), scalesim_compatible=True),
            "layer 'd': dilated",
        ),
        (
            lambda: gemm(Layer(name="w", R=3, H=2, pad_h=1), scalesim_compatible=True),
            "layer 'w': a 3 x 1 window on an ifmap of 2 x 1",
        ),
    ],
)
def test_what_is_refused(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        wrong()
