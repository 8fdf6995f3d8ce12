"""Progress on stderr: lines in a file, a bar on a terminal, nothing on stdout."""

import pytest

from hwsim.progress import shown


def run_through() -> None:
    with shown() as progress:
        for done in range(3):
            progress("counting [sheep]", done, 3)
        progress("sleeping")


def test_a_file_gets_one_line_a_stage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    run_through()
    assert capsys.readouterr() == ("", "counting [sheep]\nsleeping\n")


def test_a_terminal_gets_a_bar_that_vanishes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    run_through()
    said = capsys.readouterr()
    assert said.out == ""
    assert "counting [sheep]" in said.err
    assert "sleeping" in said.err
    assert "\x1b[2K" in said.err  # erases the line
