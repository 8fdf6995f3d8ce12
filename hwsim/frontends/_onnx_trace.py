"""An ONNX graph read as layers, views and edges."""

from ast import literal_eval
from collections import Counter
from dataclasses import dataclass, field, replace

from onnx import NodeProto

from hwsim.frontends._onnx_call import Call, Step
from hwsim.frontends._onnx_operators import AFFINE, is_view, lower
from hwsim.frontends._onnx_values import NARROW, Graph, Value
from hwsim.workload import Op

# Views that leave every element where it was.
IN_PLACE = frozenset({"Cast", "Clip", "DequantizeLinear", "Dropout", "Identity", "QuantizeLinear"})
# Operators that PyTorch's exporter notes of every node it writes: modules, and what made it.
SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
OWN_MODULES = "torch.nn.modules."


@dataclass
class Trace:
    """The steps of a graph, its operators that make no layer by name, and who makes each value.

    `foldable` are the results of weights alone, with the axis of their channels; `roots` tells of a
    value that is a function of another, element by element, which that is.
    """

    graph: Graph
    outputs: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    makers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    foldable: dict[str, int] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    users: Counter[str] = field(default_factory=Counter)

    def read(self) -> None:
        """Reads the graph from top to bottom. Raises UnsupportedOperatorError."""
        self.users.update(name for node in self.graph.nodes for name in node.input)
        self.users.update(self.outputs)
        for node in self.graph.nodes:
            varying = self.graph.varying(node)
            if is_view(node) or self.clips_codes(node) or self.folds(node):
                self.views.append(title(node))
                self.forward(node, varying)
            else:
                self.add(node, lower(Call(self.graph, node, self.free_name(node))))

    def forward(self, node: NodeProto, varying: tuple[str, ...]) -> None:
        """What a view makes is made by whoever made what it reads."""
        found = tuple(maker for name in varying for maker in self.makers.get(name, ()))
        self.makers.update(dict.fromkeys(node.output, found))
        if node.op_type in IN_PLACE and len(varying) == 1:
            self.roots[node.output[0]] = self.roots.get(varying[0], varying[0])
        if node.op_type in AFFINE and varying[0] in self.foldable:
            self.foldable[node.output[0]] = self.foldable[varying[0]]

    def add(self, node: NodeProto, steps: list[Step]) -> None:
        """Take the layers in that stand for a node."""
        steps = [self.fused(node, step) for step in steps]
        self.steps += steps
        made = tuple(step.layer.name for step in steps if step.last)
        self.makers.update(dict.fromkeys(node.output, made))
        first, output = steps[0], node.output[0]
        if len(steps) == 1 and first.layer.op in (Op.CONV, Op.LINEAR) and self.is_known(first):
            rank = len(self.graph.values[output].shape)
            self.foldable[output] = 1 if first.layer.op is Op.CONV else rank - 1

    def is_known(self, step: Step) -> bool:
        """Whether a step's weights are its operator's second operand, and known."""
        return bool(step.weight) and self.graph.values[step.weight].array is not None

    def fused(self, node: NodeProto, step: Step) -> Step:
        """The step; arithmetic on one value alone, and on functions of it, is an activation.

        Exporters spell many activations so: x * sigmoid(x), or x * clip(x + 3, 0, 6) / 6.
        """
        if step.layer.op not in (Op.ACTIVATION, Op.ADD, Op.MULTIPLY) or not step.reads:
            return step
        shape = self.graph.values[node.output[0]].shape
        roots = {self.roots.get(name, name) for name in step.reads}
        if len(roots) > 1 or any(self.graph.values[name].shape != shape for name in roots):
            return step
        self.roots.update(dict.fromkeys(node.output[:1], next(iter(roots))))
        if step.layer.op is Op.ACTIVATION and len(step.reads) == 1:
            return step
        layer = replace(step.layer, op=Op.ACTIVATION, operands=1)
        return replace(step, layer=layer, reads=tuple(roots))

    def folds(self, node: NodeProto) -> bool:
        """Whether it scales or shifts each channel of the weights before it, and is all that does.

        Machines hold such scales in the weights, and shifts in the bias.
        """
        varying = self.graph.varying(node)
        if node.op_type not in AFFINE or len(varying) != 1 or self.users[varying[0]] != 1:
            return False
        axis, made = self.foldable.get(varying[0]), self.graph.values[node.output[0]]
        if axis is None or self.graph.values[varying[0]].shape != made.shape:
            return False
        if node.op_type == "BatchNormalization":
            return axis == 1
        divides = node.op_type == "Div" and node.input[0] != varying[0]
        others = [self.graph.values[name] for name in node.input if name not in varying]
        return not divides and all(of_channels(one, axis, len(made.shape)) for one in others)

    def clips_codes(self, node: NodeProto) -> bool:
        """Whether it clips integers that were just quantised, and so says how wide they are."""
        return node.op_type == "Clip" and self.graph.values[node.input[0]].type in NARROW

    def free_name(self, node: NodeProto) -> str:
        """A name for the node's layer; repeated ones are numbered from 1."""
        wanted = chosen = title(node)
        repeats = 0
        while chosen in self.taken:
            repeats += 1
            chosen = f"{wanted}_{repeats}"
        self.taken.add(chosen)
        return chosen

    def read_by(self, step: Step) -> list[str]:
        """The layers whose ofmaps a step reads."""
        names = (*step.reads, step.weight) if step.weight else step.reads
        return [*step.after, *(maker for name in names for maker in self.makers.get(name, ()))]


def of_channels(value: Value, axis: int, rank: int) -> bool:
    """Whether a constant differs along one axis at most."""
    sizes = (1,) * (rank - len(value.shape)) + value.shape
    return all(size == 1 for at, size in enumerate(sizes) if at != axis)


def title(node: NodeProto) -> str:
    """A node's name: the path of the PyTorch module it was, as far as is known, or its own."""
    noted = {entry.key: entry.value for entry in node.metadata_props}
    if SCOPES in noted and CLASSES in noted:
        scopes, classes = literal_eval(noted[SCOPES]), literal_eval(noted[CLASSES])
        if len(scopes) > 1 and len(classes) == len(scopes):
            path, module = scopes[-2], classes[-2]
            made = classes[-1].split(".")[1]
            if path and module.startswith(OWN_MODULES):
                return str(path)
            return f"{path}.{made}" if path else made
    return node.name or node.output[0]
