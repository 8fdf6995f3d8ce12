"""Who evaluates points: processes of this machine, or the workers of a Dask cluster.

Either is a `concurrent.futures` executor. Processes that die are replaced; a cluster's scheduler
sees to its own.
"""

from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from typing import TYPE_CHECKING, Protocol

from hwsim.errors import InputError
from hwsim.mapping_pool import STARTING, begin, processors, unheard

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local:"
CONNECT_S = 10


class Crew(Protocol):
    """An executor that can be had anew where it broke, how many tasks it works on at once, and what
    is raised by a task whose worker died."""

    @property
    def executor(self) -> Executor: ...

    @property
    def width(self) -> int: ...

    @property
    def deaths(self) -> tuple[type[Exception], ...]: ...

    def renew(self) -> None: ...


class Processes:
    """As many processes of this machine as wanted, by default one for each processor."""

    deaths: tuple[type[Exception], ...] = (BrokenExecutor, CancelledError)

    def __init__(self, workers: int | None) -> None:
        if workers is not None and workers < 1:
            raise InputError(f"workers = {workers}: must be at least 1")
        self.width = workers or processors()
        self.executor = self._started()

    def renew(self) -> None:
        """New processes in place of those that died."""
        self.end()
        self.executor = self._started()

    def end(self) -> None:
        """Ends all of them at once, whatever they are at."""
        for process in self._processes:
            process.terminate()
        self.executor.shutdown(wait=False, cancel_futures=True)

    def _started(self) -> Executor:
        with STARTING, unheard():
            others = set(active_children())
            pool = ProcessPoolExecutor(
                self.width, mp_context=get_context("spawn"), initializer=begin
            )
            for _ in range(self.width):
                pool.submit(int)  # each is started by what is submitted
            self._processes = set(active_children()) - others
            return pool


class Cluster:
    """The workers of a Dask scheduler."""

    def __init__(self, client: "Client") -> None:
        from distributed import KilledWorker

        self.deaths: tuple[type[Exception], ...] = (KilledWorker, CancelledError)
        self._client = client
        self.executor: Executor = client.get_executor()

    @property
    def width(self) -> int:
        """Threads of all workers that the scheduler knows of by now."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return max(1, sum(int(worker["nthreads"]) for worker in workers))

    def renew(self) -> None:
        """Nothing: the scheduler goes on with what workers it has."""


@contextmanager
def crew(*, workers: int | None = None, cluster: str | None = None) -> Iterator[Crew]:
    """Processes or, where `cluster` is a scheduler's address or `local:N`, a cluster's workers.

    Raises InputError where none answers, and where dask is not installed.
    """
    if cluster is None:
        pool = Processes(workers)
        try:
            yield pool
        finally:
            pool.end()
        return
    if workers is not None:
        raise InputError(f"workers = {workers}: a cluster has its own; say --cluster local:N")
    with _client(cluster) as client:
        yield Cluster(client)


@contextmanager
def _client(cluster: str) -> Iterator["Client"]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(
            f"--cluster {cluster}: needs dask: pip install 'hwsim[cluster]'"
        ) from error
    if cluster.startswith(LOCAL):
        count = cluster.removeprefix(LOCAL)
        if not count.isdecimal() or not int(count):
            raise InputError(f"--cluster {cluster}: say local:N, N being a number of workers")
        settings = {"n_workers": int(count), "threads_per_worker": 1, "dashboard_address": None}
        with LocalCluster(**settings) as local, Client(local) as client:
            yield client
        return
    try:
        client = Client(cluster, timeout=CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"--cluster {cluster}: no scheduler answers there: {reason}") from error
    with client:
        yield client
