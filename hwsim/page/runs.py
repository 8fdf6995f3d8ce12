"""What a page shows: the runs it was given, and their sides, each of which is shown once.

A run is what `hwsim run` left (two sides, and perhaps the front of a search), `hwsim simulate` (one
side), or `hwsim explore` (points alone).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hwsim import report, single
from hwsim.database import is_database
from hwsim.errors import InputError, MappingError
from hwsim.explore.store import FILE as STORE
from hwsim.page import explored, nest, points
from hwsim.page.points import Point
from hwsim.report import Report
from hwsim.side import LayerRow, Side

REPORT = "report.json"
# What a folder of results may hold, what says most first; the last is that of a search which has
# not come to its end.
RECORDS = (REPORT, single.RECORD, points.FILE, STORE)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One RUN: its title, its record unless it is a search's front alone, and that front, of some
    of whose points the `layers` are known, by the points' `record`."""

    title: str
    found: Report | single.Run | None
    front: tuple[Point, ...] = ()
    layers: Mapping[str, Side] = field(default_factory=dict)

    def layers_of(self, point: Point) -> Side | None:
        """What is recorded of a point of its front."""
        return None if point.record is None else self.layers.get(point.record)

    @property
    def sides(self) -> tuple[Side, ...]:
        """All that was simulated layer by layer."""
        if isinstance(self.found, Report):
            return tuple(side for _, side in self.found.sides)
        return (self.found.side,) if self.found else ()

    @property
    def said(self) -> str:
        """What it is, in a line."""
        if isinstance(self.found, Report):
            images = f", top-1 of {self.found.images:,} images" if self.found.images else ""
            return f"{self.found.description}. Seed {self.found.seed}{images}."
        if self.found:
            where, goal = self.found.side.machine, self.found.objective
            return f"{self.found.source} on {where}, mapped for least {goal}."
        return f"{len(self.front):,} points of a search."


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
    """The runs at these folders or files. Raises InputError naming one at fault."""
    files = [_file(path) for path in paths]
    whole = [file.resolve() for file in files]
    for path, file in zip(paths, whole, strict=True):
        if whole.count(file) > 1:
            raise InputError(f"{path}: is named twice; name each run once")
    read = [_read(file) for file in files]
    hints = [file.parent.name if file.name in RECORDS else file.stem for file in whole]
    titles = _told_apart([r.title or hint for r, hint in zip(read, hints, strict=True)], hints)
    return tuple(replace(run, title=title) for run, title in zip(read, titles, strict=True))


def _file(path: Path) -> Path:
    """The record of a run however it was named; the points of a search, which has none."""
    if not path.exists():
        raise InputError(f"{path}: no such folder or file")
    if not path.is_dir():
        return path
    for name in RECORDS:
        if (path / name).exists():
            return path / name
    known = "`hwsim run`, `simulate` or `explore`"
    raise InputError(f"{path}: holds no {', '.join(RECORDS)}; name a folder that {known} wrote")


def _read(file: Path) -> Run:
    """A record and the front beside it, or a search's points alone; titled as it calls itself."""
    if is_database(file):
        return _search(file, explored.read(file))
    if file.name == points.FILE:
        return _search(file, points.read(file))
    found, beside = _record(file), file.parent / points.FILE
    if file.name != REPORT or not beside.exists():
        return Run(title=_name(found), found=found)
    front = points.read(beside)
    return Run(title=_name(found), found=found, front=front, layers=_layers(beside, front))


def _search(file: Path, front: tuple[Point, ...]) -> Run:
    if not front:
        raise InputError(f"{file}: points = []: nothing to show")
    return Run(title="", found=None, front=front, layers=_layers(file, front))


def _layers(file: Path, front: Sequence[Point]) -> dict[str, Side]:
    """What the records of points say, whose mappings were found to be readable."""
    found = points.layers(file, front)
    for name, side in found.items():
        _check_nests(side, file.parent / name)
    return found


def _name(found: Report | single.Run) -> str:
    """What a record calls itself."""
    return found.scenario if isinstance(found, Report) else found.side.label


def _record(path: Path) -> Report | single.Run:
    """A report or a run, whose mappings were found to be readable."""
    found = single.read(path) if single.is_one(path) else report.read(path)
    for side in Run(title="", found=found).sides:
        _check_nests(side, path)
    return found


def _check_nests(side: Side, file: Path) -> None:
    """Raises InputError for a mapping that makes no sense."""
    try:
        for row in side.layers:
            nest.lines(row)
    except MappingError as error:
        raise InputError(f"{file}: {error}") from error


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
    found: list[tuple[Run, Side]] = []
    for run in runs:
        for side in run.sides:
            if all(side != other for _, other in found):
                found.append((run, side))
    names = [
        f"{side.label} on {side.machine}" if isinstance(run.found, Report) else run.title
        for run, side in found
    ]
    titles = _told_apart(names, [run.title for run, _ in found])
    return tuple(
        Shown(key=f"side-{place}", title=title, run=run.title, side=side)
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
