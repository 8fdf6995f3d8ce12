"""Compressed networks as ONNX files that other runtimes execute."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from compressors._onnx_integers import Integers, integers
from compressors._onnx_plain import plain_copy
from compressors._onnx_rounding import Rounds, RoundsInput, container, translated
from hwsim.errors import InputError
from hwsim.frontends.torch import quiet

# Whatever has no integers of 16 bits stays below 21, whose dequantising runtimes still get wrong.
OPSET, OPSET_OF_16_BITS = 20, 21
NEEDED = ("onnx", "onnxscript")
KEPT_NOTES = frozenset({"pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"})
CONTAINERS = (8, 16, 32)
# What torch.export and its ONNX exporter raise where they cannot go on.
EXPORT_FAILURES = (RuntimeError, TypeError, ValueError, NotImplementedError)


def to_onnx(model: nn.Module, path: Path, images: Tensor) -> None:
    """Write a network that `compress` returned as an ONNX file in quantise-dequantise (QDQ) form.

    `images`, N x ... of any N, show the shape of the input, whose name is `images` and whose N the
    file leaves open. Weights that are integers times steps are held as integers of 4, 8 or 16 bits,
    with a step for all or for each filter; those of other codes as the float32 numbers that they
    decode to. Activations are quantised where the network rounds them: in fixed point every one,
    to the same integers wherever sums have at most 24 bits; else before each quantised layer.

    Raises InputError where a package is missing, the network cannot be exported, or the file cannot
    be written.
    """
    for name in NEEDED:
        if find_spec(name) is None:
            raise InputError(f"{path}: needs the package {name}: pip install 'hwsim[onnx]'")
    held, plain = list(integers(model)), plain_copy(model)
    wide = any(CONTAINERS[0] < one.bits <= CONTAINERS[1] for one in held) or rounds_wide(plain)
    opset = OPSET_OF_16_BITS if wide else OPSET
    found = exported(plain, images, path, opset=opset).model_proto
    check_open(found, path)
    found.producer_name, found.producer_version = "hwsim", ""
    without_notes(found)
    hold_integers(found, held)
    found = folded(found)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found.SerializeToString(deterministic=True))
    except OSError as fault:
        raise InputError(f"{path}: cannot be written: {fault.strerror}") from fault


def check_open(model: Any, path: Path) -> None:
    """Raises InputError where the network took the number of images for a constant: the exporter
    then fixes it without a word."""
    for given in model.graph.input:
        if not given.type.tensor_type.shape.dim[0].dim_param:
            raise InputError(
                f"{path}: the network cannot be exported: its arithmetic takes the number of "
                "images for a constant, as len(images) is; say images.shape[0]"
            )


def rounds_wide(plain: nn.Module) -> bool:
    """Whether an activation is rounded to codes of more than eight bits."""
    parts = [part for part in plain.modules() if isinstance(part, Rounds | RoundsInput)]
    return any(np.iinfo(container(part.low, part.high)).bits > CONTAINERS[0] for part in parts)


def exported(model: nn.Module, images: Tensor, path: Path, *, opset: int) -> Any:
    """What PyTorch's exporter makes of a network, unoptimised, so that names stay."""
    example = torch.cat([images[:1]] * 2)
    from torch.onnx import export

    with quiet(), torch.no_grad():
        try:
            return export(
                model,
                (example,),
                dynamo=True,
                optimize=False,
                verbose=False,
                external_data=False,
                opset_version=opset,
                input_names=["images"],
                dynamic_shapes=({0: Dim("N")},),
                custom_translation_table={torch.ops.hwsim.rounded.default: translated},
            )
        except EXPORT_FAILURES as fault:
            reason = next(iter(str(fault).splitlines()), "") or type(fault).__name__
            raise InputError(f"{path}: the network cannot be exported: {reason}") from fault


def folded(model: Any) -> Any:
    """The model without arithmetic on constants, but for that which says how wide integers are."""
    from onnxscript import ir, optimizer

    graph = ir.from_proto(model)
    optimizer.fold_constants(graph, should_fold=foldable)
    optimizer.remove_unused_nodes(graph)
    return ir.to_proto(graph)


def foldable(node: Any) -> bool | None:
    """Not what clips; of all else the folder decides."""
    return False if node.op_type == "Clip" else None


def without_notes(model: Any) -> None:
    """Leave out the exporter's notes on source files; those on modules stay."""
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        kept = [note for note in noted.metadata_props if note.key in KEPT_NOTES]
        del noted.metadata_props[:]
        noted.metadata_props.extend(kept)


def hold_integers(model: Any, found: list[Integers]) -> None:
    """Put integers, and a node that dequantises them, in the place of float weights.

    Integers narrower than the type that holds them pass an operator that clips them, and so says
    how wide they are; it changes none.
    """
    graph = model.graph
    floats = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[Any] = []
    for one in found:
        if one.name in floats:
            graph.initializer.remove(floats[one.name])
            arrays, made = dequantising(one)
            graph.initializer.extend(arrays)
            nodes += made
    for node in reversed(nodes):
        graph.node.insert(0, node)


def dequantising(one: Integers) -> tuple[list[Any], list[Any]]:
    """Initialisers and nodes that make a tensor of integers."""
    from onnx import helper, numpy_helper

    width = next(width for width in CONTAINERS if one.bits <= width)
    kind = np.dtype(f"uint{width}" if one.zero else f"int{width}")
    arrays = {"codes": one.codes.astype(kind), "scale": one.steps}
    if width < CONTAINERS[-1]:  # runtimes make one up where it is left out, and of a wrong shape
        arrays["zero"] = np.full(one.steps.shape, one.zero, kind)
    reads, nodes = [f"{one.name}.{part}" for part in arrays], []
    if one.bits < CONTAINERS[0]:
        ends = (
            (0, 2**one.bits - 1) if one.zero else (-(2 ** (one.bits - 1)), 2 ** (one.bits - 1) - 1)
        )
        arrays |= {key: np.array(end, kind) for key, end in zip(("low", "high"), ends, strict=True)}
        wide = [f"{one.name}.{key}" for key in ("codes", "low", "high")]
        reads[0] = f"{one.name}.clipped"
        nodes.append(helper.make_node("Clip", wide, reads[:1]))
    # A step for each filter; where there is one for all, the axis says nothing.
    nodes.append(helper.make_node("DequantizeLinear", reads, [one.name], axis=0))
    named = {f"{one.name}.{part}": np.asarray(array, order="C") for part, array in arrays.items()}
    return [numpy_helper.from_array(array, name) for name, array in named.items()], nodes
