"""What the search of all mappings knows; it is compiled code that takes a while to load."""

from hwsim._compiled import folder
from hwsim.found import Question
from hwsim.search.problem import INNER, OUTER
from hwsim.search.structures import most_stores

SEARCH = "the search of all mappings"


def prelude() -> str:
    """What to say of a stage that may search: that it compiles, unless an earlier run has."""
    return "" if any(folder().glob("search_*")) else " (the first search compiles for some minutes)"


def obstacle(question: Question) -> str:
    """What the question asks for that the search does not know; nothing if it knows all."""
    layer, machine = question.layer, question.machine
    if not layer.weighted:
        return f"{SEARCH} knows no {layer.op} layers"
    if len(machine.arrays) > 1:
        return f"{SEARCH} knows one array, {machine.name} has {len(machine.arrays)}"
    if machine.homes:
        places = ", ".join(sorted(set(machine.homes.values())))
        return f"{SEARCH} knows no tensors that stay in {places}"
    above, within = most_stores(machine, layer.tensors)
    if above > OUTER or within > INNER:
        return f"{SEARCH} knows {OUTER} stores above the array and {INNER} within"
    return ""
