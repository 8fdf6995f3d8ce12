"""Layer records as JSON and back, zeros included."""

import zlib
from base64 import b64decode, b64encode
from dataclasses import fields
from typing import Any

from hwsim.workload import Decoder, Layer, Op, Primitive, Stored, Tensor, Zeros

TENSOR_FIELDS = ("ifmap", "weight", "ofmap", "psum")
# What the removal of channels changes of a layer.
SIZES = ("G", "K", "C", "H", "W", "P", "Q", "operands")


def to_record(layer: Layer) -> dict[str, Any]:
    """A layer as JSON-able content."""
    plain = {each.name: getattr(layer, each.name) for each in fields(layer)}
    return plain | {name: _tensor(plain[name]) for name in TENSOR_FIELDS}


def of_record(record: dict[str, Any]) -> Layer:
    """The layer that was written."""
    tensors = {name: _of_tensor(record[name]) for name in TENSOR_FIELDS}
    kinds = {"op": Op(record["op"]), "primitive": Primitive(record["primitive"])}
    return Layer(**(record | tensors | kinds))


def sizes(layer: Layer) -> dict[str, int]:
    """The sizes that the removal of channels may change."""
    return {name: getattr(layer, name) for name in SIZES}


def _tensor(tensor: Tensor) -> dict[str, Any]:
    zeros = tensor.zeros
    return {
        "bits": tensor.bits,
        "density": tensor.density,
        "zeros": [list(zeros.shape), b64encode(zlib.compress(zeros.packed)).decode()]
        if zeros
        else None,
        "stored": [[one.bits, list(one.decoders)] for one in tensor.stored],
    }


def _of_tensor(record: dict[str, Any]) -> Tensor:
    zeros = None
    if record["zeros"]:
        shape, packed = record["zeros"]
        zeros = Zeros(tuple(shape), zlib.decompress(b64decode(packed)))
    stored = tuple(Stored(bits, tuple(map(Decoder, names))) for bits, names in record["stored"])
    return Tensor(bits=record["bits"], density=record["density"], zeros=zeros, stored=stored)
