"""The points of a space one after another, none of them listed beforehand."""

import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from itertools import product
from math import prod
from random import Random

from hwsim._content import digest
from hwsim.errors import InputError
from hwsim.explore.evaluate import Point, Task, code
from hwsim.explore.fields import Value, machine_with
from hwsim.explore.shape import shape
from hwsim.explore.space import SETTINGS, Space, machine_fields

Axes = Mapping[str, tuple[Value, ...]]


def family(task: Task) -> str:
    """SHA-256 of all that decides a row but for what is chosen."""
    space = task.space
    contents = {name: _plain(content) for name, content in task.contents.items()}
    choices = {
        name: values for name, values in space.parameters.items() if isinstance(values, dict)
    }
    said = (
        code(),
        contents,
        [[key, digest([w.layers, w.accuracy])] for key, w in sorted(task.workloads.items())],
        [space.machine, space.network, space.batch, space.bits, space.objective, space.effort],
        space.fill and space.fill.model_dump(),
        sorted(space.axes),
        choices,
    )
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _plain(content: Mapping[str, object]) -> dict[str, object]:
    """A machine's file but for what is for reading only."""
    return {key: value for key, value in content.items() if key not in ("description", "source")}


def numbered(space: Space, family: str) -> Callable[[Mapping[str, Value]], Point]:
    """Makes points of combinations; equal ones of a family have equal keys."""

    def point(chosen: Mapping[str, Value]) -> Point:
        said = json.dumps([family, sorted(chosen.items())])
        return Point(sha256(said.encode()).hexdigest(), dict(chosen))

    return point


def ordered(task: Task) -> tuple[dict[str, tuple[Value, ...]], int]:
    """The parameters, those last that leave the machine's shape as it is, so that what is counted
    for a shape serves all combinations of them; and how many combinations that is."""
    space = task.space
    light = [name for name in space.axes if _keeps_shape(task, name)]
    heavy = [name for name in space.axes if name not in light]
    axes = {name: space.axes[name] for name in (*heavy, *light)}
    return axes, prod(len(axes[name]) for name in light)


def _keeps_shape(task: Task, name: str) -> bool:
    space, shapes = task.space, set()
    content = task.contents[space.machine]
    for value in space.axes[name]:
        settings = space.settings({name: value})
        if set(SETTINGS) & settings.keys():
            return False
        try:
            shapes.add(shape(machine_with(content, machine_fields(settings), file="machine")))
        except InputError:
            return False
    return len(shapes) == 1


def grid(axes: Axes) -> Iterator[dict[str, Value]]:
    """Every combination, the last parameter changing fastest."""
    for values in product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def drawn(axes: Axes, *, count: int, seed: int) -> Iterator[dict[str, Value]]:
    """So many different combinations, or all where there are no more; the first of a longer draw
    are those of a shorter one."""
    size, random, seen = prod(map(len, axes.values())), Random(seed), set[int]()
    while len(seen) < min(count, size):
        number = random.randrange(size)
        if number not in seen:
            seen.add(number)
            yield combination(axes, number)


def combination(axes: Axes, number: int) -> dict[str, Value]:
    """The combination of that number in the order of `grid`."""
    found = {}
    for name in reversed(list(axes)):
        number, place = divmod(number, len(axes[name]))
        found[name] = axes[name][place]
    return {name: found[name] for name in axes}
