"""`hwsim trace` from the shell."""

import json
from pathlib import Path

import pytest

from tests.shell import Invoke, assert_one_line


class TestTrace:
    def test_options_are_listed(self, invoke: Invoke) -> None:
        said = invoke("trace", "--help").stdout
        assert all(option in said for option in ("--machine", "--layer", "--batch", "--bits"))

    def test_table_and_files(self, invoke: Invoke) -> None:
        result = invoke("trace", "mobilenet_v1_fashion", "--layer", "stem.conv", "--batch", "2")
        assert result.exit_code == 0
        assert "GLB drain ofmap" in result.stdout
        found = {path.name for path in Path("results/mobilenet_v1_fashion_on_eyeriss_v1").iterdir()}
        assert found == {"trace.json", "timeline.png", "timeline.svg"}

    def test_json_alone_on_stdout(self, invoke: Invoke) -> None:
        """Cycles and microseconds are the same on both."""
        arguments = [
            "--layer",
            "stem.conv",
            "--machine",
            "eyeriss_v1_int8",
            "--json",
            "--out",
            "deep/er",
        ]
        found = json.loads(invoke("trace", "mobilenet_v1_fashion", *arguments).stdout)
        stood = sum(found["stall_cycles"].values())
        assert found["cycles"] == pytest.approx(found["compute_cycles"] + stood, abs=1)
        events = json.loads(Path("deep/er/trace.json").read_text(encoding="utf-8"))["traceEvents"]
        last = max(event["ts"] + event["dur"] for event in events if event["ph"] == "X")
        assert last == pytest.approx(found["cycles"] / 200, abs=0.01)  # µs at 200 MHz

    def test_unknown_names(self, invoke: Invoke) -> None:
        result = invoke("trace", "mobilenet_v1_fashion", "--layer", "stem.con")
        assert_one_line(result, "unknown layer 'stem.con'", "did you mean 'stem.conv'", "known:")
        assert_one_line(invoke("trace", "alexnett"), "unknown network", "did you mean 'alexnet'")
        assert not Path("results").exists()

    def test_words_wider_than_the_machine(self, invoke: Invoke) -> None:
        arguments = ["--layer", "stem.conv", "--machine", "eyeriss_v1_int8", "--bits", "16"]
        assert_one_line(invoke("trace", "mobilenet_v1_fashion", *arguments), "8-bit MACs")
