"""ONNX files as networks.

Shapes are inferred, arithmetic on them is done beforehand, and `_onnx_operators` says what each
operator is to the simulator. Layers bear the names of the nodes, or in files that PyTorch wrote the
paths of its modules. Quantised models bring their bit-widths, in any of ONNX's forms: quantise and
dequantise (QDQ), operators on integers. Weights that are zero, in sparse tensors too, are known as
such. Needs the package onnx (`pip install 'hwsim[onnx]'`), and no PyTorch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hwsim.errors import InputError
from hwsim.workload import Network


def network_from_onnx(
    path: Path,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int = 1,
    bits: int = 16,
    name: str | None = None,
) -> Network:
    """The network in an ONNX file, called as the file is.

    `shapes` gives the sizes of inputs by name, which a file may leave open; an open leading
    dimension is the `batch`. Words whose width the file does not say take `bits`. A batch-norm, or
    a scale and shift for each channel, that alone reads a layer with weights is folded into it.

    Raises InputError for a file that cannot be read or leaves sizes open, and
    UnsupportedOperatorError, which names the node, for what cannot be simulated.
    """
    try:
        from hwsim.frontends import _onnx_file, _onnx_graph, _onnx_integers, _onnx_old
    except ModuleNotFoundError as missing:
        if missing.name not in ("onnx", "google"):
            raise
        raise InputError(f"{path}: needs the package onnx: pip install 'hwsim[onnx]'") from missing
    from hwsim.frontends import _onnx_widths
    from hwsim.frontends._onnx_constants import tensors
    from hwsim.frontends._onnx_trace import Trace
    from hwsim.frontends._onnx_values import Graph

    model, where = _onnx_file.load(path), str(path)
    given = {key: tuple(sizes) for key, sizes in (shapes or {}).items()}
    inputs = _onnx_file.inputs(model, shapes=given, batch=batch, where=where)
    version = _onnx_file.opset(model)
    graph = Graph(where, max(version, _onnx_old.VERSION), old=version < _onnx_old.VERSION)
    constants = tensors(model.graph) | _onnx_integers.constants()
    _onnx_graph.walk(graph, _onnx_integers.plain_nodes(model.graph.node), inputs, constants)
    trace = Trace(graph, tuple(output.name for output in model.graph.output))
    trace.read()
    layers = _onnx_widths.layers(trace, bits=bits)
    edges = [(maker, step.layer.name) for step in trace.steps for maker in trace.read_by(step)]
    views = tuple(dict.fromkeys(trace.views))
    return Network(name or path.stem, layers, tuple(dict.fromkeys(edges)), views)
