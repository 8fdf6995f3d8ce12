"""Energy against cycles over all mappings: the best within a latency, and the Pareto front.

Both are chosen among the mappings that searches for every objective lead to, and the dataflow's.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace

from hwsim.dataflow import front_within_dataflow, within_dataflow
from hwsim.errors import MappingError
from hwsim.found import Found, Question
from hwsim.mapper import best
from hwsim.objective import POWERS, undominated, value


def within_latency(question: Question) -> Found:
    """The best of those found that take no more than `question.max_cycles`, and a lower bound on
    all mappings. Every objective's search has the effort, and a share of the time.

    Raises MappingError where none is found, or where the question goes beyond the search.
    """
    goal, most = question.objective, question.max_cycles or 0
    budget_s = question.budget_s / len(POWERS) if question.budget_s else None
    free = replace(question, max_cycles=None, budget_s=budget_s)
    found = best(free)
    if found.cost.cycles <= most:
        return found
    searches = [found, *(best(replace(free, objective=each)) for each in POWERS if each != goal)]
    fits = [each for each in searches if each.cost.cycles <= most]
    with suppress(MappingError):
        fits.append(within_dataflow(question))
    if not fits:
        raise MappingError(
            f"layer {question.layer.name!r} takes {min(each.cost.cycles for each in searches)} "
            f"cycles on {question.machine.name}, more than max_cycles = {most}"
        )
    least = min(fits, key=lambda each: _value(question, each))
    return replace(
        _together(found, searches),
        mapping=least.mapping,
        cost=least.cost,
        value=_value(question, least),
    )


def front(question: Question) -> tuple[Found, ...]:
    """Those found that no other matches or beats in energy and cycles, fastest first, as answers of
    least energy. Every objective's search has the effort. Raises MappingError.
    """
    searches = {goal: best(replace(question, objective=goal)) for goal in POWERS}
    known = _of_dataflow(question)
    kept = undominated(
        (*known, *searches.values()), lambda each: (each.cost.cycles, each.cost.energy_pj)
    )
    whole = _together(searches["energy"], (*searches.values(), *known[:1]))
    return tuple(
        replace(whole, mapping=each.mapping, cost=each.cost, value=float(each.cost.energy_pj))
        for each in kept
    )


def _of_dataflow(question: Question) -> tuple[Found, ...]:
    """The front of the dataflow's mappings, if the constraints admit any."""
    with suppress(MappingError):
        layer, machine = question.layer, question.machine
        return front_within_dataflow(layer, machine, constraints=question.constraints)
    return ()


def _value(question: Question, found: Found) -> float:
    return value(question.objective, found.cost.energy_pj, found.cost.cycles)


def _together(found: Found, searches: Collection[Found]) -> Found:
    """One of several searches, with the mappings that all looked at, and their time."""
    return replace(
        found,
        evaluated=sum(each.evaluated for each in searches),
        seconds=sum(each.seconds for each in searches),
    )
