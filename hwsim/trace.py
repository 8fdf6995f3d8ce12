"""What happened when: spans of work on a machine's ports, buses and PEs, for a drawing or a viewer.

`to_chrome` gives the trace-event format that Perfetto (ui.perfetto.dev) and chrome://tracing open:
a process per machine, a thread per lane, one complete event ("ph": "X") per span, in microseconds
of simulated time.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

STALL, FOLDED = "stall", "folded"
PROCESS = 1


class Span(NamedTuple):
    """Cycles `start` to `end` of one lane. `tensor` is empty where none moves.

    On the lane `folded` a span stands for `repeats` repetitions of what came just before it.
    """

    lane: str
    start: float
    end: float
    label: str
    tensor: str
    layer: str
    repeats: int = 1


@dataclass(frozen=True)
class Trace:
    """The spans of an execution in the order of their start; `lanes` outermost first."""

    machine: str
    clock_mhz: float
    lanes: tuple[str, ...]
    spans: tuple[Span, ...]

    def to_chrome(self) -> dict[str, Any]:
        """The trace as a trace-event JSON object."""
        events = [*self._names(), *map(self._event, self.spans)]
        return {"traceEvents": events, "displayTimeUnit": "ns"}

    def to_json(self) -> str:
        """`to_chrome` as a file's text, the same each time."""
        return json.dumps(self.to_chrome(), separators=(",", ":"), sort_keys=True) + "\n"

    def write(self, path: Path) -> None:
        """Writes `to_json` as a file. Raises OSError."""
        path.write_text(self.to_json(), encoding="utf-8")

    def _names(self) -> Iterator[dict[str, Any]]:
        yield {"name": "process_name", "ph": "M", "pid": PROCESS, "args": {"name": self.machine}}
        for thread, lane in enumerate(self.lanes, start=1):
            place = {"ph": "M", "pid": PROCESS, "tid": thread}
            yield {"name": "thread_name", **place, "args": {"name": lane}}
            yield {"name": "thread_sort_index", **place, "args": {"sort_index": thread}}

    def _event(self, span: Span) -> dict[str, Any]:
        return {
            "name": span.label,
            "cat": span.tensor or span.lane,
            "ph": "X",
            "ts": span.start / self.clock_mhz,
            "dur": (span.end - span.start) / self.clock_mhz,
            "pid": PROCESS,
            "tid": self.lanes.index(span.lane) + 1,
            "args": {"layer": span.layer, "repeats": span.repeats},
        }
