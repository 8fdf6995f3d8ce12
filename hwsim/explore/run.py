"""The run of a space: points stream to a crew, rows into a store, as many as are wanted.

What a store knows is not evaluated again, so that a run that was stopped, or killed, goes on where
it was; no more is lost than what was being evaluated.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from itertools import islice

from hwsim.errors import InputError
from hwsim.explore.crew import Crew
from hwsim.explore.evaluate import EXCLUDED, Point, Row, Task, evaluate
from hwsim.explore.fields import Value
from hwsim.explore.points import drawn, family, grid, numbered, ordered
from hwsim.explore.search import Rounds
from hwsim.explore.space import KNOWN_BEFORE, Grid, Random
from hwsim.explore.store import Store
from hwsim.progress import Progress, quiet

STAGE = "exploring"
# Bundles in work or waiting for each worker; points of one shape in a bundle; and deaths of a crew
# without a single bundle done before giving up.
WAITING, MOST_POINTS, MOST_DEATHS = 3, 128, 3

Evaluate = Callable[[bytes, Sequence[Point]], list[Row]]
Bundle = tuple[Point, ...]


@dataclass(frozen=True)
class Run:
    """A space's task and where its rows are kept."""

    task: Task
    store: Store
    family: str

    @staticmethod
    def of(task: Task, store: Store) -> "Run":
        """Makes the columns that the space needs."""
        filled = [task.space.fill.field] if task.space.fill else []
        store.add_columns([*task.space.axes, *filled])
        return Run(task, store, family(task))


def explore(
    run: Run, crew: Crew, *, progress: Progress = quiet, evaluate: Evaluate = evaluate
) -> None:
    """Evaluates all points of a space that its strategy asks for and the store lacks.

    Raises InputError where workers die without end, or the store cannot be written.
    """
    space, work = run.task.space, _Work(run, crew, progress, evaluate)
    if isinstance(space.strategy, Grid):
        axes, light = ordered(run.task)
        work.do(grid(axes), total=space.size, together=light)
    elif isinstance(space.strategy, Random):
        axes, _ = ordered(run.task)
        count = min(space.strategy.points, space.size)
        work.do(drawn(axes, count=count, seed=space.strategy.seed), total=count, together=1)
    else:
        rounds = Rounds(space, space.strategy)
        for chosen in rounds:
            rounds.tell(work.rows(chosen, total=space.strategy.points))


class _Work:
    """Points in work, and how many are done."""

    def __init__(self, run: Run, crew: Crew, progress: Progress, evaluate: Evaluate) -> None:
        self._run, self._crew, self._progress, self._evaluate = run, crew, progress, evaluate
        self._blob = run.task.to_bytes()
        self._point = numbered(run.task.space, run.family)
        self._done, self._deaths = 0, 0
        self._again: deque[Bundle] = deque()

    def do(self, combinations: Iterable[Mapping[str, Value]], *, total: int, together: int) -> None:
        """Evaluates what the store lacks, so many neighbours at a time."""
        self._progress(STAGE, self._done, total)
        size = _bundle_size(total, together=together, width=self._crew.width)
        missing = self._missing(map(self._point, combinations), total)
        for rows in self._results(_bundles(missing, size)):
            self._run.store.keep(rows, self._run.family)
            self._note(len(rows), total)

    def rows(self, combinations: Sequence[Mapping[str, Value]], *, total: int) -> list[Row]:
        """The rows of all these points, in order."""
        done, points = self._done, [self._point(each) for each in combinations]
        unlike = {point.key: point.chosen for point in points}
        self.do(unlike.values(), total=total, together=1)
        self._done = done + len(points)
        found = (self._run.store.find(point.key) for point in points)
        return [row for row in found if row is not None]

    def _missing(self, points: Iterable[Point], total: int) -> Iterator[Point]:
        for point in points:
            if self._known(point):
                self._note(1, total)
            else:
                yield point

    def _known(self, point: Point) -> bool:
        """Whether the store has its row; not one excluded by constraints that admit it now."""
        row, limits = self._run.store.find(point.key), self._run.task.space.constraints
        if row is None or row["status"] != EXCLUDED:
            return row is not None
        return any(not limits[name].admit(row[name]) for name in KNOWN_BEFORE if name in limits)

    def _note(self, count: int, total: int) -> None:
        self._done += count
        self._progress(STAGE, self._done, total)

    def _results(self, bundles: Iterator[Bundle]) -> Iterator[list[Row]]:
        """The rows of bundles in the order in which they are done; few are in work at a time."""
        pending: dict[Future[list[Row]], tuple[Bundle, Executor]] = {}
        try:
            while True:
                self._top_up(pending, bundles)
                if not pending:
                    return
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    rows = self._result(future, *pending.pop(future))
                    if rows is not None:
                        yield rows
        finally:
            for future in pending:
                future.cancel()

    def _top_up(
        self,
        pending: dict[Future[list[Row]], tuple[Bundle, Executor]],
        bundles: Iterator[Bundle],
    ) -> None:
        while len(pending) < WAITING * self._crew.width:
            bundle = self._again.popleft() if self._again else next(bundles, None)
            if bundle is None:
                return
            executor = self._crew.executor
            try:
                future = executor.submit(self._evaluate, self._blob, bundle)
            except self._crew.deaths:
                self._died(bundle, executor)
            else:
                pending[future] = bundle, executor

    def _result(
        self, future: Future[list[Row]], bundle: Bundle, executor: Executor
    ) -> list[Row] | None:
        """A bundle's rows; none where its worker died, and then it is done again."""
        try:
            rows = future.result()
        except self._crew.deaths:
            self._died(bundle, executor)
            return None
        self._deaths = 0
        return rows

    def _died(self, bundle: Bundle, executor: Executor) -> None:
        self._again.append(bundle)
        if executor is not self._crew.executor:
            return  # which is known already
        self._deaths += 1
        if self._deaths > MOST_DEATHS:
            raise InputError(
                f"workers died {self._deaths} times in a row: give them more memory, or be fewer"
            )
        self._crew.renew()


def _bundle_size(total: int, *, together: int, width: int) -> int:
    """All neighbours that share a shape, which would be counted anew by each worker that sees it;
    fewer only where there are too few shapes for all workers."""
    shares = total // together if total >= 2 * width * together else 4 * width
    return max(1, min(together, MOST_POINTS, total // shares))


def _bundles(points: Iterator[Point], size: int) -> Iterator[Bundle]:
    while bundle := tuple(islice(points, size)):
        yield bundle
