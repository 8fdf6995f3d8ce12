"""Names for the layers of an exported PyTorch graph."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn
from torch.fx import Node

from hwsim.frontends._aten import label, weight_of
from hwsim.frontends._call import operator

WEIGHTED_MODULES = (nn.Linear, nn.Conv1d, nn.Conv2d)


@dataclass(frozen=True)
class Names:
    """Hands out the names of layers, each once.

    `modules` are the classes of the network's by path; `parameters` maps placeholders to the paths
    of their tensors; `constants` are the nodes that depend on no input of the network.
    """

    modules: Mapping[str, type[nn.Module]]
    parameters: Mapping[str, str]
    constants: frozenset[Node]
    taken: set[str] = field(default_factory=set)

    def layer(self, node: Node) -> str:
        """A free name for the node's layer; repeated calls are numbered from 1."""
        path = self.weights_owner(node) or self.sole_layer(node)
        wanted = path or self.functional(node)
        chosen, repeats = wanted, 0
        # A number or an operator's name must not make the path of some other module.
        while chosen in self.taken or (chosen in self.modules and chosen != path):
            repeats += 1
            chosen = f"{wanted}_{repeats}"
        self.taken.add(chosen)
        return chosen

    def view(self, node: Node) -> str:
        """What to call an operator that makes no layer; not always unique."""
        return self.sole_layer(node) or self.functional(node)

    def module_path(self, node: Node) -> str:
        """Path of the innermost module whose forward pass holds the node; empty for the root.

        A graph that was traced before may remember modules that it no longer has.
        """
        stack = node.meta.get("nn_module_stack", {}).values()
        known = [str(path) for path, *_ in stack if path in self.modules]
        return known[-1] if known else ""

    def module(self, node: Node) -> type[nn.Module]:
        """The class of the module at that path."""
        return self.modules[self.module_path(node)]

    def functional(self, node: Node) -> str:
        """Path and operator, such as `block1.add`."""
        path = self.module_path(node)
        return f"{path}.{label(node)}" if path else label(node)

    def sole_layer(self, node: Node) -> str:
        """The path, where the module is one of PyTorch's own that does nothing but this."""
        module = self.module(node)
        own, path = module.__module__.startswith("torch.nn.modules"), self.module_path(node)
        composite = (*WEIGHTED_MODULES, nn.MultiheadAttention)
        if not own or issubclass(module, composite) or self.has_children(path):
            return ""
        if issubclass(module, nn.LocalResponseNorm) and operator(node) != "div":
            return ""
        return path

    def has_children(self, path: str) -> bool:
        """Whether a module holds others."""
        inside = f"{path}." if path else ""
        return any(other.startswith(inside) and other != path for other in self.modules)

    def weights_owner(self, node: Node) -> str:
        """The path of the module that holds the weights of a convolution or product, if any."""
        weight = weight_of(node)
        if weight is None or weight not in self.constants:
            return ""
        if issubclass(self.module(node), WEIGHTED_MODULES):
            return self.module_path(node)
        return self.weight_path(weight).rpartition(".")[0]

    def weight_path(self, constant: Node) -> str:
        """The path of the first `weight` that a constant is computed from; empty if none is."""
        pending = [constant]
        for node in pending:
            path = self.parameters.get(node.name, "")
            if path.rpartition(".")[2] == "weight":
                return path
            pending += [source for source in node.all_input_nodes if source not in pending]
        return ""
