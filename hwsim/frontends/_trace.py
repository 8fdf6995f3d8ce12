"""An exported PyTorch graph read as layers, views and edges."""

import operator as python_operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import nn
from torch.export import ExportedProgram
from torch.fx import Node

from hwsim.frontends import _aten
from hwsim.frontends._call import Call, Step, arguments, operator
from hwsim.frontends._names import Names
from hwsim.workload import Network, Op


@dataclass(frozen=True)
class Trace:
    """The steps of a graph, its operators that make no layer by name, and who makes each node."""

    name: str
    program: ExportedProgram
    constants: frozenset[Node]
    steps: tuple[Step, ...]
    views: dict[Node, str]
    makers: dict[Node, tuple[str, ...]]

    @cached_property
    def network(self) -> Network:
        """Layers in order of execution, and the edges between them with views skipped."""
        layers = tuple(step.layer for step in self.steps)
        edges = [(maker, step.layer.name) for step in self.steps for maker in self.read_by(step)]
        views = dict.fromkeys(self.views.values())
        return Network(self.name, layers, tuple(dict.fromkeys(edges)), tuple(views))

    def read_by(self, step: Step) -> list[str]:
        """The layers whose ofmaps a step reads."""
        nodes = (*step.ifmaps, step.weight) if step.weight else step.ifmaps
        return [*step.after, *(maker for node in nodes for maker in self.makers[node])]


def trace(program: ExportedProgram, modules: Mapping[str, type[nn.Module]], *, name: str) -> Trace:
    """Reads the graph from top to bottom; `modules` are the classes of its modules by path.

    Raises UnsupportedOperatorError.
    """
    constants = find_constants(program)
    signature = program.graph_signature
    names = Names(
        modules=modules,
        parameters={**signature.inputs_to_parameters, **signature.inputs_to_buffers},
        constants=constants,
    )
    steps: list[Step] = []
    views: dict[Node, str] = {}
    makers: dict[Node, tuple[str, ...]] = {}
    for node in program.graph.nodes:
        makers[node] = tuple(maker for source in node.all_input_nodes for maker in makers[source])
        if node.op != "call_function":
            continue
        if node in constants or moves_nothing(node, names):
            views[node] = names.view(node)
            continue
        where = f"network {name!r}: {names.module_path(node) or 'forward pass'}"
        call = Call(node, names.layer(node), where, constants)
        local = issubclass(names.module(node), nn.LocalResponseNorm)
        made = _aten.first_only(Op.NORMALISATION, call) if local else _aten.lower(call)
        steps += made
        makers[node] = tuple(step.layer.name for step in made if step.ofmap is node)
    return Trace(name, program, constants, tuple(steps), views, makers)


def find_constants(program: ExportedProgram) -> frozenset[Node]:
    """The nodes that depend on no input's data: parameters, buffers, tensors filled with a number,
    and what is computed from these."""
    inputs = frozenset(program.graph_signature.user_inputs)
    found: set[Node] = set()
    for node in program.graph.nodes:
        filled = operator(node) in _aten.FILLED
        if filled or (node.name not in inputs and found.issuperset(node.all_input_nodes)):
            found.add(node)
    return frozenset(found)


def moves_nothing(node: Node, names: Names) -> bool:
    """Whether an operator makes no layer of its own.

    PyTorch spells local response normalisation as eight operators; its last, the division, stands
    for the whole.
    """
    if node.target is python_operator.getitem or _aten.is_view(node):
        return True
    if issubclass(names.module(node), nn.LocalResponseNorm):
        return operator(node) != "div"
    return operator(node) in _aten.BATCH_NORMS and folds(node, names.constants)


def folds(norm: Node, constants: frozenset[Node]) -> bool:
    """Whether a batch-norm can be folded into the constant weights of the layer before it."""
    given = arguments(norm)
    source: Node = given["input"]
    weight = _aten.weight_of(source)
    return weight in constants and len(source.users) == 1 and not given.get("training")
