"""What a loop nest has to be of a dataflow, whoever made it.

Of the loops of a nest, those after the first store between DRAM and the arrays that keeps another
tensor belong to a tensor's *pass*: one execution of them works on what the buffers then hold of the
others. All loops do where there is no such store. *In a PE* is below the outermost array. Loops of
one trip do not count. A tensor *returns* where, among the loops in time of its pass that lie
outside the PE's own tile of it, one over a dimension that it lacks goes around one that it has. In
these words a dataflow (Chen, Emer and Sze, ISCA 2016, Sec. IV; input stationary: Parashar et al.,
ISCA 2017, Sec. III) is what the nests of its file in `hwsim/dataflows/` have in common:

- weight stationary: PEs keep weights, which do not return.
- input stationary: PEs keep ifmaps, which do not return.
- output stationary: PEs keep psums, which leave a PE finished, but for what other PEs add: they do
  not return in the whole nest.
- no local reuse: PEs keep only what may not bypass their pads, and of that one word a tensor.
- row stationary: PEs keep every tensor for which they have a memory. Each convolves one filter row
  with one ifmap row into one ofmap row: tiles in a PE span one of R and of P, and PEs do not share
  Q or S. Weights stay while it slides along the ofmap row (none return for Q), psums while it goes
  through the filter row (none return for S).

How large a pass is no dataflow says: in a small one little passes by what is stationary. Nor does
it say anything of a layer without weights.

None of this tells nests apart that do the same. A store that moves past loops which its tensor
lacks, just outside it, or which it has, just inside, makes no tensor return, so that the search of
all mappings, which brings nests into one form by such moves, may look among those of a dataflow.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hwsim.dataflows._parts import inner_levels, outer_levels
from hwsim.hardware import Accelerator
from hwsim.workload import DIMS, RELEVANT, TENSORS

Dataflow = Literal[
    "row_stationary",
    "weight_stationary",
    "output_stationary",
    "input_stationary",
    "no_local_reuse",
]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a dataflow asks.

    `keeps`: tensors that PEs keep where they have a memory for them, `bare`: none that may bypass
    it. `returns`: by tensor, the dimensions for which it does not return, `throughout` the nest or
    within its pass. `single`: dimensions of which tiles in a PE span one, `apart`: those that PEs
    do not share.
    """

    keeps: tuple[str, ...] = ()
    bare: bool = False
    returns: Mapping[str, str] = field(default_factory=dict)
    throughout: bool = False
    single: str = ""
    apart: str = ""


RULES: dict[Dataflow, Rule] = {
    "row_stationary": Rule(
        keeps=TENSORS, returns={"weight": "Q", "ofmap": "S"}, single="RP", apart="QS"
    ),
    "weight_stationary": Rule(keeps=("weight",), returns={"weight": "NPQ"}),
    "input_stationary": Rule(keeps=("ifmap",), returns={"ifmap": "K"}),
    "output_stationary": Rule(keeps=("ofmap",), returns={"ofmap": "CRS"}, throughout=True),
    "no_local_reuse": Rule(bare=True, single="".join(DIMS)),
}


def pads(machine: Accelerator) -> list[str]:
    """Names of the levels in a PE."""
    return [level.level for level in inner_levels(machine)]


def is_kept(rule: Rule, machine: Accelerator, tensor: str) -> bool:
    """Whether PEs are to keep a tensor."""
    padded = any(level.memory(tensor) for level in inner_levels(machine))
    return tensor in rule.keeps and padded


def scope(
    rule: Rule, machine: Accelerator, tensor: str, stores: Sequence[tuple[str, str]]
) -> range:
    """Of a nest's (tensor, level) stores below the outermost level, in order, those in front of
    which the dimensions of `returns` may matter to a tensor; none where PEs do not keep it."""
    inside, buffers = pads(machine), [level.level for level in outer_levels(machine)]
    entry = next((i for i, (t, level) in enumerate(stores) if t == tensor and level in inside), -1)
    others = (i for i, (t, level) in enumerate(stores) if t != tensor and level in buffers)
    first = 0 if rule.throughout else next(others, -1) + 1
    return range(first, entry + 1)


def returning(tensor: str, dims: str, loops: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(the dimension, that of a loop which it goes around): where a tensor returns for any of some
    dimensions that it lacks, stepped through by these loops in time, outermost first."""
    around = ""
    for dim in loops:
        if dim in dims:
            around = dim
        elif around and dim in RELEVANT[tensor]:
            yield around, dim
