"""A block of rows: whose mapping, how long its search took, and what both models say of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.peers.counts import lines
from hwsim.mapping import Mapping
from hwsim.workload import Layer

OWN = "hwsim"
HEAD = f"{'':22}{'s':>9}{'faster':>9}" + "".join(
    f"{f'{whose} model: µJ':>20}{'cycles':>12}{'EDP':>11}" for whose in ("peer's", "hwsim's")
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A mapping of one tool, (pJ, cycles) by a peer's model and ours, and what is wrong with it."""

    tool: str
    seconds: float
    theirs: tuple[float, float] | None = None
    ours: tuple[float, float] | None = None
    mapping: Mapping | None = None
    note: str = ""

    def line(self, peer_s: float | None) -> str:
        """A row, beside a peer that took so long."""
        faster = f"{peer_s / self.seconds:.0f}x" if peer_s else ""
        start = f"  {self.tool:20}{self.seconds:9.3f}{faster:>9}"
        return f"{start}{_said(self.theirs)}{_said(self.ours)}  {self.note}".rstrip()


def _said(said: tuple[float, float] | None) -> str:
    if said is None:
        return f"{'-':>20}{'-':>12}{'-':>11}"
    energy_pj, cycles = said
    return f"{energy_pj / 1e6:>20.3f}{cycles:>12.0f}{energy_pj * cycles:>11.3e}"


def show(title: str, outcomes: Iterable[Outcome], *, counted: Layer | None = None) -> None:
    """Prints a block, row by row, and every link's words where a layer is `counted`."""
    print(f"{title}\n{HEAD}", flush=True)
    peer_s = None
    for outcome in outcomes:
        print(outcome.line(peer_s), flush=True)
        if outcome.theirs and not outcome.tool.startswith(OWN):
            peer_s = outcome.seconds
        if counted and outcome.mapping:
            print("\n".join(lines(counted, outcome.mapping)))
