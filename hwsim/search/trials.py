"""Where to cut a part in two: where the lower bounds of both halves rise most.

A cut is worth the geometric mean of how far it raises both. Cuts are tried where the relaxation
wavers most, until enough is known of those alike, and then those that were worth most so far:
reliability branching (Achterberg, Koch, Martin, "Branching rules revisited", 2005).
"""

from collections import defaultdict
from math import sqrt

from hwsim.search.jobs import Label
from hwsim.search.parts import Cut, Part, Room

# Cuts that are tried of a part: of those little known, and of those known, which were tried so
# often.
LIKELY, GOOD, KNOWN = 4, 2, 2
# Rounds of a trial, and what a bound that stays is worth.
ROUNDS, LITTLE = 10, 1e-5


class Trials:
    """What cuts were worth so far, of all structures."""

    def __init__(self) -> None:
        self.worth: defaultdict[Label, list[float]] = defaultdict(list)

    def halves(self, part: Part, room: Room, limit: float) -> tuple[list[Part], int]:
        """Both halves of the best cut tried of a part, none if it is a single nest, and the effort
        that all took. Nests that were found are left with the part."""
        best, most, effort = list[Part](), 0.0, 0
        for cut in self._promising(part, part.cuts(room)):
            halves = part.halves(room, cut)
            effort += sum(half.raise_bound(room, limit, ROUNDS) for half in halves)
            rises = [max(half.least - part.least, LITTLE) for half in halves]
            worth = sqrt(rises[0] * rises[1])
            self.worth[part.label(cut)].append(worth)
            for half in halves:
                part.leaves += half.leaves
                half.leaves.clear()
            if worth > most:
                best, most = halves, worth
        return best, effort

    def _promising(self, part: Part, cuts: list[Cut]) -> list[Cut]:
        """Those of the cuts that are worth a trial."""
        new, known = list[Cut](), list[tuple[float, Cut]]()
        for at, cut in enumerate(cuts):
            worth = self.worth[part.label(cut)]
            if len(worth) >= KNOWN:
                known.append((-sum(worth) / len(worth), cut))
            elif at < LIKELY:
                new.append(cut)
        return new + [cut for _, cut in sorted(known)[:GOOD]]
