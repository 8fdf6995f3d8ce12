"""When weights go: all at once, in rounds between trainings, or little by little while training."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from compressors._fit import Hook
from hwsim.config import Config

Share = Annotated[float, Field(ge=0, le=1)]
Cut = Callable[[float], None]
Train = Callable[[Hook | None], None]


class Schedule(Config, ABC):
    """The order of cuts and of training."""

    @abstractmethod
    def carry_out(self, sparsity: float, *, cut: Cut, train: Train, steps: int) -> None:
        """Cut up to `sparsity` of the weights; `train` takes `steps` steps each time."""


class Rounds(Schedule):
    """Cut and train so many times; each round takes the same share of the weights that are left.

    Han et al., NIPS 2015, arXiv:1506.02626, Sec. 3.4. One round is one shot.
    """

    rounds: Annotated[int, Field(ge=1, le=100)] = 1

    def carry_out(self, sparsity: float, *, cut: Cut, train: Train, steps: int) -> None:
        for done in range(1, self.rounds + 1):
            last = done == self.rounds
            cut(sparsity if last else 1 - (1 - sparsity) ** (done / self.rounds))
            train(None)


class Gradual(Schedule):
    """`cuts` (n) times within one training, from `begin` to `end` of it, by a cubic curve.

    Zhu and Gupta, arXiv:1710.01878, eq. 1: s_t = s_f + (s_i - s_f) (1 - (t - t0) / (n dt))^3.
    """

    initial: Share = 0.0
    begin: Share = 0.0
    end: Share = 0.75
    cuts: Annotated[int, Field(ge=1)] = 20

    def at(self, share: float, sparsity: float) -> float:
        """The sparsity once `share` of the time from the first to the last cut is over."""
        rest = 1 - min(max(share, 0.0), 1.0)
        return sparsity + (self.initial - sparsity) * rest**3

    def carry_out(self, sparsity: float, *, cut: Cut, train: Train, steps: int) -> None:
        start, length = round(self.begin * steps), max(1, round((self.end - self.begin) * steps))
        interval = max(1, length // self.cuts)

        def after_step(step: int) -> None:
            since = step + 1 - start
            if 0 <= since <= length and (since % interval == 0 or since == length):
                cut(self.at(since / length, sparsity))

        train(after_step)
        cut(sparsity)
