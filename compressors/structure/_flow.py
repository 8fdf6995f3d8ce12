"""Follow every channel through a network's graph, from the filter that yields it to its readers."""

import inspect
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Literal, TypeAlias

from torch import fx, nn
from torch.nn.modules.batchnorm import _NormBase as Norm

from compressors._layers import WEIGHTED
from compressors.structure._atoms import Atoms
from compressors.structure._values import Channels, Size, Sizes, Value
from compressors.structure._views import VIEWS, flatten, reshape
from hwsim.errors import InputError

Side: TypeAlias = Literal["out", "in", "depth", "each", "pad"]
Place: TypeAlias = tuple[str, Side]
Convolution: TypeAlias = nn.Conv1d | nn.Conv2d

# Each channel of these depends on that channel alone, whatever its number.
ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.PReLU),
    *(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d),
)
ALIKE = (
    *ACTIVATIONS,
    *(nn.Upsample, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d),
    *(nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.ZeroPad1d),
    *(nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d),
)
CURVES = {
    *("relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "hardtanh", "neg"),
    *("hardswish", "hardsigmoid", "sigmoid", "tanh", "softplus", "clamp", "abs", "exp", "sqrt"),
    *("dropout", "dropout2d", "square", "pow"),
}
SINGLE = {
    *CURVES,
    *("interpolate", "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d", "contiguous"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "clone", "detach"),
    "float",
}
PAIRS = {
    *("add", "iadd", "sub", "isub", "mul", "imul", "truediv", "itruediv", "div"),
    *("maximum", "minimum"),
}
JOINS = {"cat", "concat"}
IMAGE_RANK = 4


class Tracer(fx.Tracer):
    """Weighted layers and torch's own modules stay whole."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, WEIGHTED) or super().is_leaf_module(m, module_qualified_name)


def graph_of(model: nn.Module) -> fx.Graph:
    """What the network computes. Raises InputError where torch.fx cannot tell."""
    try:
        return Tracer().trace(model)
    except (fx.proxy.TraceError, TypeError) as fault:
        reason = str(fault).splitlines()[0]
        raise InputError(f"{type(model).__name__}: torch.fx cannot trace it: {reason}") from fault


def called(node: fx.Node) -> str:
    """The name of the function or method that a node calls."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return str(name).strip("_")


def follow(model: nn.Module) -> "Flow":
    """The channels of all of `model`."""
    flow = Flow(model)
    for node in graph_of(model).nodes:
        flow.step(node)
    return flow


def _all_channels(value: Value) -> Iterator[Channels]:
    """The tensors of channels in a value, however deep."""
    if isinstance(value, Channels):
        yield value
    elif isinstance(value, list | tuple):
        yield from chain.from_iterable(map(_all_channels, value))


class Flow:
    """Channels by the place where they are read or made, and the atoms that they are in."""

    def __init__(self, model: nn.Module) -> None:
        self.modules = dict(model.named_modules())
        self.atoms = Atoms()
        self.places: dict[Place, tuple[int, ...]] = {}
        self.values: dict[fx.Node, Value] = {}

    def step(self, node: fx.Node) -> None:
        """What one node yields; where it is not known, the channels that it reads are fixed."""
        arguments = [self.seen(argument) for argument in node.args]
        options = {name: self.seen(argument) for name, argument in node.kwargs.items()}
        found = self.value(node, arguments, options)
        if found is None:
            reason = "reach the network's output" if node.op == "output" else _blamed(node)
            for channels in _all_channels([arguments, list(options.values())]):
                self.atoms.fix(channels.ids, reason)
        self.values[node] = found

    def seen(self, argument: object) -> Value:
        """An argument of a node with values in the place of nodes."""
        if isinstance(argument, fx.Node):
            return self.values[argument]
        if isinstance(argument, list | tuple):
            return tuple(map(self.seen, argument))
        return argument

    def value(self, node: fx.Node, arguments: list[Value], options: dict[str, Value]) -> Value:
        """The value of a node, None where it is not known."""
        if node.op == "call_module":
            return self.after_module(str(node.target), arguments[0])
        if node.op not in ("call_function", "call_method") or not arguments:
            return None
        name, first = called(node), arguments[0]
        if name in JOINS:
            return _call(self.joined, arguments, options)
        if name in PAIRS:
            return self.paired(arguments, options)
        if isinstance(first, Sizes):
            return self.entry(first, arguments[1:])
        if not isinstance(first, Channels):
            return None
        return self.after_function(name, first, arguments[1:], options)

    def after_function(
        self, name: str, first: Channels, rest: list[Value], options: dict[str, Value]
    ) -> Value:
        """The value of a function of one tensor."""
        if any(_all_channels([rest, list(options.values())])):
            return None
        if name in ("size", "getattr"):
            shape = name == "size" or rest == ["shape"]
            return self.entry(Sizes(first), rest if name == "size" else []) if shape else None
        if name in SINGLE:
            return first if _on_maps(name, first) else None
        view = VIEWS.get(name)
        if view is reshape:
            rest = self.agreed(first, rest)
        return _call(view, [first, *rest], options) if view else None

    def agreed(self, ifmap: Channels, sizes: list[Value]) -> list[Value]:
        """Sizes of a view; as many channels as another tensor has means the same ones as it has."""
        return [
            self.same_size(ifmap, size)
            for size in (sizes[0] if sizes and isinstance(sizes[0], tuple) else sizes)
        ]

    def same_size(self, ifmap: Channels, size: Value) -> Value:
        """The size as one of `ifmap` itself, to whose channels the other tensor's are tied."""
        if not isinstance(size, Size) or not size.counts_channels or ifmap.spread:
            return size
        if len(size.of.ids) != len(ifmap.ids):
            return size
        self.atoms.tie(size.of.ids, ifmap.ids)
        return Size(ifmap, ifmap.axis)

    def entry(self, sizes: Sizes, keys: list[Value]) -> Value:
        """A whole shape, or an entry of it."""
        if not keys:
            return sizes
        return Size(sizes.of, keys[0]) if isinstance(keys[0], int) else None

    def after_module(self, path: str, ifmap: Value) -> Value:
        """The value of a module's output."""
        module = self.modules[path]
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            return self.after_convolution(path, module, ifmap)
        if isinstance(module, nn.Linear):
            return self.after_linear(path, module, ifmap)
        if not isinstance(ifmap, Channels):
            return None
        if isinstance(module, Norm):
            return self.after_norm(path, module.num_features, ifmap)
        if isinstance(module, nn.PReLU) and module.num_parameters > 1:
            return self.after_norm(path, module.num_parameters, ifmap)
        if isinstance(module, nn.ConstantPad3d):
            return self.after_padding(path, module, ifmap)
        if isinstance(module, nn.Flatten):
            return flatten(ifmap, module.start_dim, module.end_dim)
        if not isinstance(module, ALIKE) or not _on_maps(type(module).__name__, ifmap):
            return None
        return ifmap

    def after_convolution(self, path: str, layer: Convolution, ifmap: Value) -> Channels:
        """Fresh channels; a depthwise convolution's go with those it reads."""
        deep = layer.in_channels == layer.groups > 1
        side: Side = "depth" if deep else "in"
        ins = self.read((path, side), layer.in_channels, ifmap, axis=1)
        outs = self.made(path, layer.out_channels)
        if deep:
            times = layer.out_channels // layer.groups
            self.atoms.tie((one for one in ins for _ in range(times)), outs)
        elif layer.groups > 1:
            for ids in (ins, outs):
                width = len(ids) // layer.groups
                self.atoms.tie(ids[width:], ids[:-width])
        return Channels(outs, 1, layer.weight.ndim)

    def after_linear(self, path: str, layer: nn.Linear, ifmap: Value) -> Channels:
        """Fresh channels on the last axis."""
        rank = ifmap.rank if isinstance(ifmap, Channels) else 2
        self.read((path, "in"), layer.in_features, ifmap, axis=rank - 1)
        return Channels(self.made(path, layer.out_features), rank - 1, rank)

    def after_norm(self, path: str, width: int, ifmap: Channels) -> Channels | None:
        """The same channels, each with a scale or statistics of its own."""
        wide = ifmap.widened(width) if ifmap.axis == 1 else None
        return None if wide is None else self.touched((path, "each"), wide, ifmap)

    def after_padding(self, path: str, module: nn.ConstantPad3d, ifmap: Channels) -> Value:
        """Channels of zeros above and below the others, as in the shortcuts of option A."""
        *_, above, below = module.padding
        if ifmap.rank != IMAGE_RANK or ifmap.axis != 1 or module.value or min(above, below) < 0:
            return None
        wide = (*self.atoms.fresh(above), *ifmap.ids, *self.atoms.fresh(below))
        return self.touched((path, "pad"), wide, ifmap.of(wide))

    def touched(self, place: Place, ids: tuple[int, ...], found: Channels) -> Channels:
        """`found`, noted to pass a place; a module that is called again sees the same atoms."""
        self.atoms.tie(self.places.setdefault(place, ids), ids)
        return found

    def read(self, place: Place, width: int, ifmap: Value, *, axis: int) -> tuple[int, ...]:
        """The channels that a layer reads; fixed ones where they cannot be told apart."""
        known = ifmap.widened(width) if isinstance(ifmap, Channels) and ifmap.axis == axis else None
        ids = self.atoms.fresh(width) if known is None else known
        if known is None:
            reason = f"are read by {place[0]!r} in a way that is not understood"
            for channels in _all_channels(ifmap):
                self.atoms.fix(channels.ids, reason)
            self.atoms.fix(ids, "are the network's input, or no layer's")
        self.atoms.tie(self.places.setdefault(place, ids), ids)
        return ids

    def made(self, path: str, width: int) -> tuple[int, ...]:
        """The channels of a layer's filters; the same at each call."""
        place: Place = (path, "out")
        if place not in self.places:
            self.places[place] = self.atoms.fresh(width)
        return self.places[place]

    def joined(self, tensors: Value, dim: Value = 0) -> Value:
        """Concatenation: side by side along the channels, or one to one along any other axis."""
        parts = list(_all_channels(tensors))
        first = parts[0] if parts else None
        known = isinstance(tensors, list | tuple) and len(parts) == len(tensors)
        if first is None or not known or not isinstance(dim, int):
            return None
        if any((p.axis, p.rank, p.spread) != (first.axis, first.rank, False) for p in parts):
            return None
        if dim % first.rank == first.axis:
            return first.of(tuple(chain.from_iterable(part.ids for part in parts)))
        for part in parts[1:]:
            self.atoms.tie(first.ids, part.ids)
        return first

    def paired(self, arguments: list[Value], options: dict[str, Value]) -> Value:
        """Element-wise functions of two tensors tie their channels one to one."""
        parts = list(_all_channels(arguments[:2]))
        numbers = all(isinstance(one, Channels | int | float) for one in arguments)
        if not parts or not numbers or any(_all_channels(list(options.values()))):
            return None
        narrow, wide = parts[0], parts[-1]
        if (narrow.axis, narrow.rank) != (wide.axis, wide.rank):
            return None
        if len(narrow.ids) > len(wide.ids):
            narrow, wide = wide, narrow
        if len(narrow.ids) == 1 < len(wide.ids):
            self.atoms.fix(narrow.ids, "are alone, and spread over many")
        elif len(narrow.ids) != len(wide.ids) or narrow.spread != wide.spread:
            return None
        else:
            self.atoms.tie(narrow.ids, wide.ids)
        return wide


def _on_maps(name: str, ifmap: Channels) -> bool:
    """Whether an operator that moves along maps, as its name says, has no channels there."""
    if "ool" not in name and "Pad" not in name:
        return True
    return ifmap.axis == 1 and ifmap.rank == int(name[-2]) + 2


def _blamed(node: fx.Node) -> str:
    return f"pass {node.target if node.op == 'call_module' else called(node)!r}, which needs all"


def _call(rule: Callable[..., Value], arguments: list[Value], options: dict[str, Value]) -> Value:
    """What a rule says; None for arguments that it does not know."""
    try:
        bound = inspect.signature(rule).bind(*arguments, **options)
    except TypeError:
        return None
    return rule(*bound.args, **bound.kwargs)
