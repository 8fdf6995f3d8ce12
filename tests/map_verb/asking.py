"""Layers, a stand-in for the mapper, and how a run that failed is read.

The stand-in answers a mapping of the machine's own dataflow, so that what is tested is what the
verb makes of an answer.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import yaml
from typer.testing import Result

from hwsim.errors import MappingError
from hwsim.found import Found, Question
from hwsim.hardware import load_machine
from hwsim.objective import Objective, value
from hwsim.simulate import best_mapping

SHAPE = "N=1 K=64 C=64 P=56 Q=28 R=3 S=3"
SMALL = "K=8 C=4 P=6 Q=5 R=3 S=2"
WIDE = "K=64 C=64 P=56 Q=56 R=3 S=3"  # the fastest mapping is not the one of least energy
DEPTHWISE = "G=24 P=6 Q=5 R=3 S=3"
EYERISS = load_machine("eyeriss_v1")
Invoke = Callable[..., Result]


class StandIn:
    """Answers as the mapper does, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Question] = []

    def search(self, question: Question) -> Found:
        self.asked.append(question)
        if question.constraints.dataflow == "input_stationary":
            raise MappingError("the constraints exclude every mapping")
        mapping, found = best_mapping(question.layer, question.machine)
        best = value(question.objective, found.energy_pj, found.cycles)
        return Found(
            mapping=mapping,
            cost=found,
            objective=question.objective,
            value=best,
            lower_bound=best * 0.98,
            evaluated=1234,
            seconds=0.25,
            space="dataflow" if question.constraints.dataflow else "whole",
            reason="it had to" if question.constraints.dataflow else "",
        )

    def front(self, question: Question) -> tuple[Found, ...]:
        goals: tuple[Objective, ...] = "cycles", "energy"
        return tuple(self.search(replace(question, objective=goal)) for goal in goals)


def complaints(result: Result) -> list[str]:
    """The lines of a run that failed as bad input does, and wrote nothing."""
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert not list(Path().rglob("*.png"))
    found = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    assert lines[-len(found) :] == [f"error: {line}" for line in found]
    return found


def saved(records: object, name: str = "mine.yaml") -> str:
    Path(name).write_text(yaml.safe_dump(records), encoding="utf-8")
    return name
