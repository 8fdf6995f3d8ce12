"""Progress of a long search, with the time that is left at the pace so far."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

from hwsim.progress import Progress, quiet

T = TypeVar("T")
SECOND, MINUTE, HOUR = 1, 60, 3600


@dataclass
class Clock:
    """Tells `progress` what is done."""

    progress: Progress = quiet

    def told(self, items: Sequence[T], stage: str, name: Callable[[T], str] = str) -> Iterator[T]:
        """The items, each told before its turn, with the time left from the second on."""
        start = perf_counter()
        for done, item in enumerate(items):
            spent = perf_counter() - start
            left = f", {_time(spent / done * (len(items) - done))} left" if done else ""
            self.progress(f"{stage}{left}", done, len(items))
            yield item
        self.progress(stage, len(items), len(items))


def _time(seconds: float) -> str:
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.1f} h"
