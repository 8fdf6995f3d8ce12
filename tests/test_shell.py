"""What ends a verb of the command line, and how it is told."""

import signal
from contextlib import suppress

import pytest
import typer

from hwsim.shell import INTERRUPTED, complaints


def compiled_in_vain() -> None:
    """What numba does of Ctrl-C that it hears while LLVM calls it back."""
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    raise RuntimeError("no compiled object yet")


def test_an_error_after_ctrl_c_is_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, complaints():
        compiled_in_vain()
    assert ended.value.exit_code == INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_a_defect_keeps_its_type_and_ctrl_c_its_handler() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="a defect"), complaints():
        raise RuntimeError("a defect")
    assert signal.getsignal(signal.SIGINT) is before
