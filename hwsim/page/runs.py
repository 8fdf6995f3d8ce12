"""What a page shows: the runs it was given, and their sides, each of which is shown once."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwsim import report
from hwsim.errors import InputError, MappingError
from hwsim.page import nest, points
from hwsim.page.points import Point
from hwsim.report import LayerRow, Report, Side

REPORT = "report.json"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One RUN: its title, its report unless it is a search's front alone, and that front."""

    title: str
    found: Report | None
    front: tuple[Point, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A side on the page: `key` is its anchor, `title` told apart from all others."""

    key: str
    title: str
    run: str
    side: Side


@dataclass(frozen=True, kw_only=True)
class ShownLayer:
    """A layer on the page, with its row on each side, None where a side has no such layer."""

    key: str
    name: str
    network: str
    rows: tuple[LayerRow | None, ...]

    @property
    def mapped(self) -> bool:
        """Whether any side runs it by itself."""
        return any(row and row.mapping for row in self.rows)


def load(paths: Sequence[Path]) -> tuple[Run, ...]:
    """The runs at these folders, or report.json files. Raises InputError naming one at fault."""
    files = [_file(path) for path in paths]
    whole = [file.resolve() for file in files]
    for path, file in zip(paths, whole, strict=True):
        if whole.count(file) > 1:
            raise InputError(f"{path}: is named twice; name each run once")
    read = [_read(file) for file in files]
    hints = [
        file.parent.name if file.name in (REPORT, points.FILE) else file.stem for file in whole
    ]
    scenarios = [found.scenario if found else None for found, _ in read]
    names = [scenario or hint for scenario, hint in zip(scenarios, hints, strict=True)]
    return tuple(
        Run(title=title, found=found, front=front)
        for title, (found, front) in zip(_told_apart(names, hints), read, strict=True)
    )


def _file(path: Path) -> Path:
    """The report of a run however it was named; the front of a search, which has no report."""
    if not path.exists():
        raise InputError(f"{path}: no such folder or file")
    if not path.is_dir():
        return path
    for name in (REPORT, points.FILE):
        if (path / name).exists():
            return path / name
    raise InputError(f"{path}: holds no {REPORT}; name a folder that `hwsim run` wrote")


def _read(file: Path) -> tuple[Report | None, tuple[Point, ...]]:
    """A report and the front beside it, or a front alone."""
    if file.name == points.FILE:
        front = points.read(file)
        if not front:
            raise InputError(f"{file}: points = []: nothing to show")
        return None, front
    beside = file.parent / points.FILE
    front = points.read(beside) if file.name == REPORT and beside.exists() else ()
    return _report(file), front


def _report(path: Path) -> Report:
    """The report, whose mappings were found to be readable."""
    found = report.read(path)
    try:
        for _, side in found.sides:
            for row in side.layers:
                nest.lines(row)
    except MappingError as error:
        raise InputError(f"{path}: {error}") from error
    return found


def _told_apart(names: Sequence[str], hints: Sequence[str]) -> list[str]:
    """Each name, with its hint where another bears it, and a number where that does not help."""
    seen = Counter(names)
    full = [f"{n} ({h})" if seen[n] > 1 else n for n, h in zip(names, hints, strict=True)]
    again, places = Counter(full), Counter[str]()
    found = []
    for name in full:
        places[name] += 1
        found.append(f"{name} {places[name]}" if again[name] > 1 else name)
    return found


def sides(runs: Iterable[Run]) -> tuple[Shown, ...]:
    """All sides in order; one that several runs share, figure by figure, once."""
    found: list[tuple[str, Side]] = []
    for run in runs:
        for _, side in run.found.sides if run.found else ():
            if all(side != other for _, other in found):
                found.append((run.title, side))
    names = [f"{side.label} on {side.machine}" for _, side in found]
    titles = _told_apart(names, [title for title, _ in found])
    return tuple(
        Shown(key=f"side-{place}", title=title, run=run, side=side)
        for place, (title, (run, side)) in enumerate(zip(titles, found, strict=True), 1)
    )


def layers(shown: Sequence[Shown]) -> tuple[ShownLayer, ...]:
    """Every layer of every network, in execution order, with its rows side by side."""
    rows = [{row.name: row for row in each.side.layers} for each in shown]
    found: list[ShownLayer] = []
    for network, name in _names(shown):
        of_network = (
            by_name.get(name) if each.side.network == network else None
            for each, by_name in zip(shown, rows, strict=True)
        )
        key = f"layer-{len(found) + 1}"
        found.append(ShownLayer(key=key, name=name, network=network, rows=tuple(of_network)))
    return tuple(found)


def _names(shown: Sequence[Shown]) -> Iterator[tuple[str, str]]:
    """(network, layer) of all sides; a layer that a later side adds follows the one before it."""
    for network in dict.fromkeys(each.side.network for each in shown):
        order: dict[str, None] = {}
        for each in shown:
            if each.side.network == network:
                order = _merged(order, [row.name for row in each.side.layers])
        yield from ((network, name) for name in order)


def _merged(order: dict[str, None], names: Sequence[str]) -> dict[str, None]:
    found, place = list(order), 0
    for name in names:
        if name in order:
            place = found.index(name) + 1
        else:
            found.insert(place, name)
            place += 1
    return dict.fromkeys(found)
