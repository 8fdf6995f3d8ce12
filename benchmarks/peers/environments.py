"""Environments of other tools: made once under a cache folder, asked in a process of their own."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class PeerError(Exception):
    """A peer that cannot be set up or gave no answer; one line that says why and what to run."""


@dataclass(frozen=True)
class Peer:
    """A tool: what to install, the least Python it needs, and the script that asks it.

    The script reads one JSON value from its input and prints one as its last line.
    """

    name: str
    requirements: tuple[str, ...]
    least_python: tuple[int, int]
    script: str


ZIGZAG = Peer("ZigZag", ("zigzag-dse==3.9.1", "six"), (3, 11), "zigzag_script.py")
ACCELFORGE = Peer("accelforge", ("accelforge==1.0.467",), (3, 12), "accelforge_script.py")


def cache_folder() -> Path:
    """Where environments lie unless the user says otherwise."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "hwsim" / "peers"


def interpreter(peer: Peer, *, wanted: str = "") -> str:
    """A Python new enough for the peer: the user's, this one, or a newer one on the path.

    Raises PeerError, with the command that sets one up.
    """
    names = [f"python3.{minor}" for minor in range(peer.least_python[1], 16)]
    candidates = [wanted] if wanted else [sys.executable, *names]
    for candidate in filter(None, map(shutil.which, candidates)):
        if _version(candidate) >= peer.least_python:
            return candidate
    least = ".".join(map(str, peer.least_python))
    raise PeerError(
        f"{peer.name} needs Python {least} or newer and {' '.join(candidates)} is not: install one,"
        f" then run `python -m benchmarks.mappers --peer-python PATH/TO/python{least}`"
    )


def _version(python: str) -> tuple[int, int]:
    """(major, minor) of an interpreter; (0, 0) of one that does not start."""
    command = [python, "-c", "import sys; print(*sys.version_info[:2])"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        return 0, 0
    major, minor = map(int, done.stdout.split())
    return major, minor


def environment(peer: Peer, *, cache: Path, wanted: str = "") -> Path:
    """The Python of the peer's own environment, made on first use. Raises PeerError."""
    folder = cache / "-".join(peer.requirements).replace("==", "-")
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        _run([interpreter(peer, wanted=wanted), "-m", "venv", "--clear", str(folder)], peer)
        _run([str(python), "-m", "pip", "install", "--quiet", *peer.requirements], peer)
        ready.touch()
    return python


def _run(command: list[str], peer: Peer) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PeerError(f"{peer.name}: `{' '.join(command)}` failed: {last}")


def ask(peer: Peer, question: Any, *, python: Path, limit_s: float) -> Any:
    """The answer of a peer's script. Raises PeerError after `limit_s` seconds or a failure."""
    script = Path(__file__).with_name(peer.script)
    try:
        done = subprocess.run(
            [str(python), "-I", str(script)],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"{peer.name}: no answer within {limit_s:g} s") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PeerError(f"{peer.name}: failed: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])
