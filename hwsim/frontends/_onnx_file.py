"""An ONNX file as it lies on the disk, and what its inputs are to be."""

from collections.abc import Mapping
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TypeProto, ValueInfoProto, inliner

from hwsim.errors import InputError
from hwsim.frontends._shapes import Shape


def load(path: Path) -> ModelProto:
    """The model, functions of its own inlined.

    Raises InputError for a file that is missing, damaged or something else, and for data of its own
    that lies in another file which is not there.
    """
    try:
        model = onnx.load(path, format="protobuf")
    except FileNotFoundError as fault:
        raise InputError(f"{path}: no such ONNX file") from fault
    except OSError as fault:
        raise InputError(f"{path}: cannot be read: {fault.strerror}") from fault
    except DecodeError as fault:
        raise InputError(f"{path}: is not an ONNX file, or a damaged one") from fault
    except onnx.checker.ValidationError as fault:
        reason = str(fault).splitlines()[0]
        raise InputError(f"{path}: data kept outside the file is missing: {reason}") from fault
    except ValueError as fault:
        raise InputError(f"{path}: data kept outside the file is damaged: {fault}") from fault
    if not (model.graph.node and model.opset_import):
        raise InputError(f"{path}: is not an ONNX file: it holds no graph of operators")
    return inliner.inline_local_functions(model) if model.functions else model


def opset(model: ModelProto) -> int:
    """The version of ONNX's own operators; 1 where the model names none."""
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)


def inputs(
    model: ModelProto, *, shapes: Mapping[str, Shape], batch: int, where: str
) -> dict[str, TypeProto]:
    """The type of every input, its shape from `shapes` where named, else from the file.

    A leading dimension that the file leaves open is the batch. Raises InputError for any other that
    is open, for names that are no inputs, and for shapes of another rank.
    """
    held = {tensor.name for tensor in model.graph.initializer}
    found = {value.name: value for value in model.graph.input if value.name not in held}
    for name in shapes.keys() - found.keys():
        raise InputError(f"{where}: has no input {name!r}: {', '.join(found)}")
    return {
        name: fixed(value, shapes.get(name), batch=batch, where=where)
        for name, value in found.items()
    }


def fixed(value: ValueInfoProto, given: Shape | None, *, batch: int, where: str) -> TypeProto:
    """The type of an input without open dimensions. Raises InputError."""
    if not value.type.HasField("tensor_type"):
        raise InputError(f"{where}: input {value.name!r} is no tensor")
    kind = value.type.tensor_type
    said = [size(dim) for dim in kind.shape.dim] if kind.HasField("shape") else None
    sizes = given if given is not None else with_batch(said, batch, known=kind)
    if sizes is None or 0 in sizes:
        shown = " x ".join(dim_name(dim) for dim in kind.shape.dim) if said else "without a shape"
        raise InputError(
            f"{where}: input {value.name!r} is {shown}: give its sizes, as in "
            f"--shape {value.name}=1,3,224,224"
        )
    if said is not None and len(said) != len(sizes):
        raise InputError(
            f"{where}: input {value.name!r} has {len(said)} axes: --shape gives {len(sizes)}"
        )
    return onnx.helper.make_tensor_type_proto(kind.elem_type, sizes)


def with_batch(
    said: list[int] | None, batch: int, *, known: TypeProto.Tensor
) -> tuple[int, ...] | None:
    """The sizes with an open leading one filled in."""
    if not said:
        return None if said is None and not known.HasField("shape") else ()
    return (said[0] or batch, *said[1:])


def size(dim: onnx.TensorShapeProto.Dimension) -> int:
    """A dimension's size, 0 where it is open; some exporters write -1."""
    return max(0, dim.dim_value)


def dim_name(dim: onnx.TensorShapeProto.Dimension) -> str:
    """A dimension as users see it."""
    return str(size(dim)) if size(dim) else dim.dim_param or "?"
