"""`hwsim validate` from the shell."""

import json
from pathlib import Path
from typing import Any

from tests.shell import Invoke, assert_one_line


class TestValidate:
    def test_options_are_listed(self, invoke: Invoke) -> None:
        said = invoke("validate", "--help").stdout
        assert "--out" in said
        assert "--json" in said

    def test_table_and_files(self, invoke: Invoke) -> None:
        result = invoke("validate", "energies", "dram")
        assert result.exit_code == 0
        titles = {line.rstrip() for line in result.stdout.splitlines()}
        assert {"horowitz_45nm, single operations", "dramsim3, saturated traffic"} <= titles
        assert result.stderr.splitlines()[:2] == ["validating energies", "validating dram"]
        found = {str(path.relative_to("results")) for path in Path("results").rglob("*.*")}
        plots = {f"validation/{row['machine']}.svg" for row in records("results")}
        assert found == plots | {"validation.md", "validation.json"}

    def test_json_alone_on_stdout(self, invoke: Invoke) -> None:
        result = invoke("validate", "energies", "--json", "--out", "deep/er")
        rows = json.loads(result.stdout)
        assert rows == records("deep/er")
        keys = "machine network layer quantity published simulated error fitted verified source"
        assert all(list(row) == keys.split() for row in rows)
        assert not Path("results").exists()

    def test_unknown_subject(self, invoke: Invoke) -> None:
        result = invoke("validate", "dram", "enargies")
        assert_one_line(result, "unknown subject 'enargies'", "did you mean 'energies'", "known:")

    def test_results_below_a_file(self, invoke: Invoke) -> None:
        Path("file").write_text("kept", encoding="utf-8")
        assert_one_line(invoke("validate", "dram", "--out", "file/inside"), "file")

    def test_the_same_run_gives_the_same_bytes(self, invoke: Invoke) -> None:
        for folder in ("first", "second"):
            assert invoke("validate", "dram", "--out", folder).exit_code == 0
        first, second = (
            {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}
            for folder in map(Path, ("first", "second"))
        )
        assert first == second


def records(folder: str) -> list[dict[str, Any]]:
    """The rows written to a folder."""
    found: list[dict[str, Any]] = json.loads(
        Path(folder, "validation.json").read_text(encoding="utf-8")
    )
    return found
