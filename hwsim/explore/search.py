"""optuna's searches through a space, in rounds whose points are evaluated side by side.

A round is told in the order in which it was asked, whoever was done first, so that the same space
and seed ask for the same points however many workers there are, and again in a later run, which
finds them in the store.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from hwsim.errors import InputError
from hwsim.explore.evaluate import OK, Row
from hwsim.explore.fields import Value
from hwsim.explore.space import MAXIMISED, Limits, Search, Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

Chosen = dict[str, Value]


class Rounds:
    """Asks for points round by round; `tell` what became of them before the next one."""

    def __init__(self, space: Space, search: Search) -> None:
        self._space, self._search = space, search
        self._study = _study(space, search)
        self._asked: list[Trial] = []

    def __iter__(self) -> Iterator[list[Chosen]]:
        left = self._search.points
        while left > 0:
            count = min(left, self._search.population)
            self._asked = [self._study.ask() for _ in range(count)]
            yield [self._chosen(trial) for trial in self._asked]
            left -= count

    def _chosen(self, trial: "Trial") -> Chosen:
        """Numbers by their rank, so that neighbours are near; all else as names."""
        found: Chosen = {}
        for name, values in self._space.axes.items():
            if len(values) == 1:
                found[name] = values[0]
            elif all(isinstance(value, int | float) for value in values):
                ranked = sorted(values, key=float)
                found[name] = ranked[trial.suggest_int(name, 0, len(ranked) - 1)]
            else:
                place = trial.suggest_categorical(name, [str(value) for value in values])
                found[name] = next(value for value in values if str(value) == place)
        return found

    def tell(self, rows: Sequence[Row]) -> None:
        """The rows of the last round, in its order."""
        for trial, row in zip(self._asked, rows, strict=True):
            self._study.tell(trial, objectives(self._space, row))


def objectives(space: Space, row: Row) -> list[float]:
    """What a row makes of the objectives; the worst where it was not measured or is outside the
    constraints."""
    if row["status"] != OK or not within(space.constraints, row):
        return [-inf if name in MAXIMISED else inf for name in space.objectives]
    return [float(row[name] or 0) for name in space.objectives]


def within(constraints: Mapping[Any, Limits], row: Row) -> bool:
    """Whether a measured row lies within the constraints."""
    return all(limits.admit(row.get(name)) for name, limits in constraints.items())


def _study(space: Space, search: Search) -> "Study":
    try:
        import optuna
    except ImportError as error:
        raise InputError(
            f"strategy.kind = {search.kind!r}: needs optuna: pip install 'hwsim[search]'"
        ) from error
    optuna.logging.set_verbosity(logging.ERROR)
    to = optuna.study.StudyDirection
    directions = [to.MAXIMIZE if name in MAXIMISED else to.MINIMIZE for name in space.objectives]
    return optuna.create_study(directions=directions, sampler=_sampler(search))


def _sampler(search: Search) -> "BaseSampler":
    from optuna.samplers import NSGAIISampler, TPESampler

    if search.kind == "nsga2":
        return NSGAIISampler(population_size=search.population, seed=search.seed)
    with warnings.catch_warnings():  # what is marked experimental is what fits a round
        warnings.simplefilter("ignore")
        return TPESampler(seed=search.seed, multivariate=True, constant_liar=True)
