"""The best mapping of a layer over the whole space, with a lower bound on all others.

Every nest has a form that costs no more: stores rise past the loops that their tensors lack and
sink past those that they have (`search.structures`). Of each such structure a Lagrangian relaxation
says what its nests cost at least (`search.dual`), and nests of the lowest are improved at random
(`search.anneal`). What has the lowest bound is gone on with: a structure is parted by the places of
its axes on the array, then by their tiles at one store after the other (`search.packed`), or cut in
two where that raises bounds most (`search.trials`), until little is left and walked through
(`search.walk`). The bounds take tiles to be even; mappings found are judged by
`hwsim.cost`, and what lies between is the gap. `search.course` says what comes when.
"""

from hwsim.constraints import FREE
from hwsim.cost import cost
from hwsim.dataflow import accumulated, within_dataflow
from hwsim.errors import MappingError
from hwsim.found import Found, Question, judged
from hwsim.map_space import sampled
from hwsim.reach import obstacle
from hwsim.search.course import Course


def best(question: Question) -> Found:
    """The best mapping that is found by trying `question.effort` options or in `question.budget_s`,
    no worse than the dataflow's, and a lower bound on all mappings.

    Raises MappingError where there is none, or where the question goes beyond the search;
    `hwsim.tradeoff` answers those with `max_cycles`.
    """
    beyond = obstacle(question)
    if question.max_cycles is not None:
        beyond = f"max_cycles = {question.max_cycles} is no limit that it knows"
    if beyond:
        raise MappingError(f"effort = {question.effort}: {beyond}")
    return Course(question, _start(question)).found()


def _start(question: Question) -> Found | None:
    """The best mapping of the dataflow, or one at random where it has none, or nothing where chance
    finds none that obeys. Raises MappingError where single words do not fit."""
    layer, machine = accumulated(question.layer, question.machine), question.machine
    try:
        return within_dataflow(question)
    except MappingError as fault:
        drawn = sampled(layer, machine, count=1, seed=0, constraints=question.constraints)
        try:
            mapping = next(drawn, None)
        except MappingError as nothing:
            raise (fault if question.constraints == FREE else nothing) from None
        if mapping is None:
            return None
        costed = mapping, cost(layer, mapping, machine)
        return judged(layer, machine, question.objective, costed)
