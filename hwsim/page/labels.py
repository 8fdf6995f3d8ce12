"""Where the names of a chart's points go, so that none covers another."""

from collections.abc import Sequence
from typing import NamedTuple

LETTER_PX, LINE_PX, AWAY_PX = 6.2, 13.0, 9.0


class Box(NamedTuple):
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Whether both have a place in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


class Spot(NamedTuple):
    """Right (`left`-aligned) or left of a point, and so many pixels below its height."""

    align: str
    below_px: float


SPOTS = tuple(Spot(align, below) for below in (0, -LINE_PX, LINE_PX) for align in ("left", "right"))


def spots(
    names: Sequence[str], places: Sequence[tuple[float, float]], *, width_px: float
) -> list[Spot | None]:
    """A spot for each name at its (x, y) in pixels, the first that is free and within the chart.

    None where a name finds no room.
    """
    taken = [Box(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    found: list[Spot | None] = []
    for name, place in zip(names, places, strict=True):
        for spot in SPOTS:
            box = _box(name, place, spot)
            inside = box.left >= 0 and box.right <= width_px
            if inside and not any(box.meets(other) for other in taken):
                taken.append(box)
                found.append(spot)
                break
        else:
            found.append(None)
    return found


def _box(name: str, place: tuple[float, float], spot: Spot) -> Box:
    x, y = place[0], place[1] + spot.below_px
    near, far = AWAY_PX, AWAY_PX + LETTER_PX * len(name)
    left, right = (x + near, x + far) if spot.align == "left" else (x - far, x - near)
    return Box(left, y - LINE_PX / 2, right, y + LINE_PX / 2)
