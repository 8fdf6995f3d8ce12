"""The trace-event file against the fields its format documents, and its bytes."""

import json
from pathlib import Path

import pytest

from hwsim.engine import run
from hwsim.trace import FOLDED, Span, Trace
from tests.eyeriss import EYERISS, chip_task

# Trace Event Format (Google, 2016): what a complete and a metadata event must and may have.
FIELDS = {"name": str, "cat": str, "ph": str, "ts": float, "dur": float, "pid": int, "tid": int}
METADATA = {"process_name": "name", "thread_name": "name", "thread_sort_index": "sort_index"}
SMALL = Trace(
    machine="chip",
    clock_mhz=200.0,
    lanes=("DRAM", "PEs", FOLDED),
    spans=(
        Span("DRAM", 0.0, 50.0, "GLB fill ifmap", "ifmap", "conv"),
        Span("PEs", 50.0, 90.0, "compute", "", "conv"),
        Span(FOLDED, 90.0, 170.0, "2 x 1 passes", "", "conv", 2),
    ),
)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return run([chip_task("CONV3")], EYERISS).trace


def test_events_have_the_documented_fields(trace: Trace) -> None:
    found = trace.to_chrome()
    assert found["displayTimeUnit"] in ("ms", "ns")
    for event in found["traceEvents"]:
        if event["ph"] == "M":
            assert METADATA[event["name"]] in event["args"]
            continue
        assert event["ph"] == "X"
        assert event.keys() == {*FIELDS, "args"}
        assert all(isinstance(event[key], kind) for key, kind in FIELDS.items())
        assert event["ts"] >= 0 <= event["dur"]


def test_every_lane_is_a_named_thread_in_the_machines_order(trace: Trace) -> None:
    events = trace.to_chrome()["traceEvents"]
    threads = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert list(threads.values()) == list(trace.lanes)
    assert {event["tid"] for event in events if event["ph"] == "X"} <= threads.keys()
    assert list(threads) == sorted(threads)


def test_events_of_a_lane_do_not_overlap(trace: Trace) -> None:
    """A viewer would nest them."""
    ends: dict[int, float] = {}
    for event in trace.to_chrome()["traceEvents"]:
        if event["ph"] == "X" and trace.lanes[event["tid"] - 1] != FOLDED:
            assert event["ts"] >= ends.get(event["tid"], 0.0) - 1e-6
            ends[event["tid"]] = event["ts"] + event["dur"]


def test_times_are_microseconds() -> None:
    """50 cycles at 200 MHz are 0.25 µs."""
    fill, work, folded = (e for e in SMALL.to_chrome()["traceEvents"] if e["ph"] == "X")
    assert (fill["ts"], fill["dur"], work["ts"], work["dur"]) == (0.0, 0.25, 0.25, 0.2)
    assert folded["args"] == {"layer": "conv", "repeats": 2}
    assert (fill["name"], fill["cat"], work["cat"]) == ("GLB fill ifmap", "ifmap", "PEs")


def test_the_file_is_json_and_the_same_each_time(trace: Trace, tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    trace.write(first)
    run([chip_task("CONV3")], EYERISS).trace.write(second)
    assert first.read_bytes() == second.read_bytes()
    assert json.loads(first.read_text(encoding="utf-8")) == trace.to_chrome()


def test_without_a_trace_there_are_no_spans() -> None:
    found = run([chip_task("CONV5", 1)], EYERISS, trace=False)
    assert found.trace.spans == ()
    assert found.cycles > 0
