"""Machines a minute for MobileNetV2: `python -m benchmarks.exploration`.

First in this process: CPU seconds of an evaluation by how many points share a machine's shape (the
others differ in bandwidth, clock and supply), beside `hwsim.simulate` without its cache. Then
points through one process and through two, both ways within one run: by the clock, which other work
on the machine slows, and in CPU seconds of the workers, which say whether two of them do anything
twice, and of this process, which hands points out and keeps their rows. A worker's seconds over
this process's are how many workers it could keep at work.
"""

import os
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, sleep
from typing import NamedTuple

from hwsim.explore import crew as crews
from hwsim.explore.evaluate import Task, evaluate
from hwsim.explore.points import grid, numbered, ordered
from hwsim.explore.run import Run, explore
from hwsim.explore.space import Space, machine_contents
from hwsim.explore.store import Store
from hwsim.explore.workloads import load_workloads
from hwsim.hardware import load_machine
from hwsim.networks import load_network
from hwsim.progress import quiet
from hwsim.simulate import simulate

NETWORK, BITS = "mobilenet_v2", 8
MACHINES = ("eyeriss_v1_int8", "systolic_ws")
SHAPES, SHARED, WORKERS = 3, (1, 8, 64), (1, 2)
PARAMETERS = {
    "GLB.ifmap.capacity_bits": {"from": 2**18, "to": 2**20, "step": 2**15},
    "DRAM.read_bits_per_cycle": [16, 24, 32, 48, 64, 96, 128, 256],
    "clock_mhz": [100, 200, 400, 800],
    "technology.voltage": [0.9, 1.0],
}


def task(machine: str) -> Task:
    """Every combination of the parameters on a machine."""
    space = Space.model_validate(
        {
            "description": "a benchmark",
            "machine": machine,
            "network": NETWORK,
            "bits": BITS,
            "parameters": PARAMETERS,
            "objective": "edp",
        }
    )
    return Task(space, machine_contents(space), load_workloads(space, progress=quiet))


def cpu_seconds(asked: Task, *, shared: int, first: int) -> float:
    """Of an evaluation where so many points share a shape; the first one warms up, and none has
    been seen before."""
    axes, light = ordered(asked)
    point = numbered(asked.space, "benchmark")
    points = list(map(point, islice(grid(axes), light * (first + SHAPES + 1))))
    shapes = [points[n * light :][:shared] for n in range(first, first + SHAPES + 1)]
    blob = asked.to_bytes()
    evaluate(blob, shapes[0])
    start = process_time()
    for own in shapes[1:]:
        evaluate(blob, own)
    return (process_time() - start) / (SHAPES * shared)


def simulated_seconds(machine: str) -> float:
    """CPU seconds of the same by `hwsim.simulate`, nothing being known before."""
    network = load_network(NETWORK)
    layers = {
        layer.name: layer.at_bits(ifmap=BITS, weight=BITS, ofmap=BITS, psum=2 * BITS)
        for layer in network
    }
    start = process_time()
    simulate(network.with_layers(layers), load_machine(machine), workers=1)
    return process_time() - start


class Taken(NamedTuple):
    """Seconds of an evaluation: by the clock, of all workers together, and of this process."""

    clock: float
    workers: float
    here: float


def taken_through(asked: Task, folder: Path, *, workers: int) -> Taken:
    """What evaluations take through so many processes that have begun."""
    store = Store(folder / f"{asked.space.machine}_{workers}.sqlite")
    with crews.crew(workers=workers) as members:
        warm = [members.executor.submit(evaluate, asked.to_bytes(), ()) for _ in range(4)]
        for future in warm:
            future.result()
        before = worked(members)
        start, own = perf_counter(), process_time()
        explore(Run.of(asked, store), members)
        clock, here = perf_counter() - start, process_time() - own
        taken = Taken(clock, worked(members) - before, here)
    store.close()
    return Taken(*(seconds / asked.space.size for seconds in taken))


def worked(members: crews.Crew) -> float:
    """CPU seconds of all workers since they began."""
    asked = [members.executor.submit(own_seconds) for _ in range(4 * members.width)]
    return sum(dict(future.result() for future in asked).values())


def own_seconds() -> tuple[int, float]:
    """This process, and its CPU seconds; slow enough for every worker to be asked."""
    sleep(0.3)
    return os.getpid(), process_time()


def shortened(asked: Task, shapes: int) -> Task:
    """The task with so many shapes alone."""
    name = next(iter(PARAMETERS))
    values = asked.space.axes[name][:shapes]
    parameters = asked.space.parameters | {name: values}
    space = asked.space.model_copy(update={"parameters": parameters})
    return Task(space, asked.contents, asked.workloads)


def main() -> None:
    """Prints a line for each machine and way."""
    os.environ["HWSIM_CACHE"] = "off"
    print(f"{'machine':18} {'way':28} {'s':>8} {'a minute':>9}")
    for machine in MACHINES:
        asked = task(machine)
        _line(machine, "simulate, CPU", simulated_seconds(machine), cores=1)
        for place, shared in enumerate(SHARED):
            taken = cpu_seconds(asked, shared=shared, first=place * (SHAPES + 1))
            _line(machine, f"{shared} of a shape, CPU, 2 cores", taken, cores=2)
        with TemporaryDirectory() as folder:
            few, each = shortened(asked, 12), {}
            for workers in WORKERS:
                each[workers] = taken_through(few, Path(folder), workers=workers)
                _line(machine, f"{workers} processes, clock", each[workers].clock)
                _line(machine, f"{workers} processes, CPU", each[workers].workers)
        _line(machine, "handing out and keeping, CPU", each[2].here)


def _line(machine: str, way: str, taken: float, *, cores: int = 1) -> None:
    print(f"{machine:18} {way:28} {taken:8.4f} {60 * cores / taken:9,.0f}", flush=True)


if __name__ == "__main__":
    # Workers find functions by the name of their module, which is not that of what is run.
    from benchmarks import exploration

    exploration.main()
