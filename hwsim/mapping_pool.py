"""Asks a mapper many questions, in this process or in several at once.

Answers are the same whatever the number of workers, and so is the error that is raised: that of the
first question that has no answer. Each answer is kept as soon as it is found.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from threading import Lock, Thread
from time import perf_counter
from types import ModuleType

from hwsim.errors import InputError
from hwsim.found import Found, Question, Search
from hwsim.mapping_cache import answer, current

# Twice what a crew's start takes, as measured for two on both threads of an idle core: a second
# until all is imported, half a second until kernels are out of numba's cache. A busy core takes
# longer.
START_S = 3.0
STARTING = Lock()

Note = Callable[[int, Found], None]


def answers(
    questions: Sequence[Question],
    search: Search,
    *,
    workers: int | None = None,
    done: Callable[[int], None],
) -> list[Found]:
    """An answer to each question, kept from before or found by `search`; `done` hears its number.

    `workers` processes search, this one if it is 1. By default there are as many as processors, and
    none but this where what is left, at the pace so far, would take no longer than their start.
    Other processes import `search` by its name. Raises whatever it raises, and InputError.
    """
    found: dict[int, Found] = {}

    def note(number: int, answered: Found) -> None:
        found[number] = answered
        done(number)

    for number, question in enumerate(questions):
        known = current().find(question)
        if known:
            note(number, known)
    crew = _most_workers(workers)
    took_s: list[float] = []
    while left := {n: each for n, each in enumerate(questions) if n not in found}:
        crew = min(crew, len(left))
        if crew > 1 and (workers or _pays(took_s, len(left), crew)):
            with suppress(BrokenProcessPool):  # killed for want of memory, say
                _share_out(left, search, crew, note)
            crew = 1
        else:
            start, number = perf_counter(), min(left)
            note(number, answer(left[number], search))
            took_s.append(perf_counter() - start)
    return [found[number] for number in range(len(questions))]


def _most_workers(wanted: int | None) -> int:
    if wanted is None:  # a worker of some other pool is one of many
        return 1 if parent_process() else processors()
    if wanted < 1:
        raise InputError(f"workers = {wanted}: must be at least 1")
    return wanted


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pays(took_s: Sequence[float], left: int, crew: int) -> bool:
    """Whether a crew would have done sooner; the first answer also took the kernels' loading."""
    warm_s = took_s[1:]
    return bool(warm_s) and sum(warm_s) / len(warm_s) * left * (1 - 1 / crew) > START_S


def _share_out(left: Mapping[int, Question], search: Search, crew: int, note: Note) -> None:
    """Has a crew answer, and ends it; whatever comes between, what they found is on the disk."""
    pool = ProcessPoolExecutor(crew, mp_context=get_context("spawn"), initializer=begin)
    workers: set[BaseProcess] = set()
    try:
        with STARTING, unheard():
            others = set(active_children())
            futures = {pool.submit(answer, left[n], search): n for n in left}
            workers = set(active_children()) - others
        for future in as_completed(futures):
            if future.exception():
                break
            number, answered = futures[future], future.result()
            current().remember(left[number], answered)
            note(number, answered)
        for future in futures:
            future.result()
    finally:
        for worker in workers:  # of its own accord one takes 0.4 s to end
            worker.terminate()
        pool.shutdown(cancel_futures=True)


@contextmanager
def unheard() -> Iterator[None]:
    """Processes started here neither run the caller's script anew nor hear Ctrl-C."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)


def begin() -> None:
    """Sees to it that a worker ends where its caller was killed."""
    Thread(target=_end_with_caller, daemon=True).start()


def _end_with_caller() -> None:
    caller = parent_process()
    if caller:
        caller.join()
    os._exit(1)
