"""One network in the words of every version of ONNX's operators."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from hwsim.errors import UnsupportedOperatorError
from hwsim.frontends.onnx import network_from_onnx
from hwsim.workload import Op
from tests.onnx_models import macs, random, saved

NEWEST = onnx.defs.onnx_opset_version()
CONV_MACS, GEMM_MACS = 2 * 8 * 9 * 13 * 3 * 6, 2 * (8 * 4 * 6) * 5
OPS = (Op.CONV, Op.ACTIVATION, Op.POOL, *[Op.ACTIVATION] * 3, Op.LINEAR, Op.COPY, Op.POOL)


class Writer:
    """Nodes and arrays of a version: what once was an attribute is an operand later, or nothing."""

    def __init__(self, version: int) -> None:
        self.version, self.last = version, "x"
        self.nodes: list[NodeProto] = []
        self.arrays: dict[str, Any] = {}

    def add(self, kind: str, *arrays: Any, **attributes: Any) -> None:
        """An operator on the last result and these arrays."""
        if self.version < 6 and kind in ("Relu", "Add", "PRelu", "BatchNormalization", "Clip"):
            attributes["consumed_inputs"] = [0] * (1 + len(arrays))
        names = [f"{kind}_{place}" for place in range(len(arrays))]
        self.arrays |= {n: np.asarray(a) for n, a in zip(names, arrays, strict=True)}
        self.join(kind, [self.last, *names], **attributes)

    def join(self, kind: str, names: list[str], **attributes: Any) -> None:
        """An operator on what has these names."""
        made = f"made_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [made], **attributes))
        self.last = made

    def until(self, version: int, kind: str, operands: list[Any], **attributes: Any) -> None:
        """By attributes before a version, by operands from it on."""
        if self.version < version:
            self.add(kind, **attributes)
        else:
            self.add(kind, *operands)

    def model(self) -> ModelProto:
        """Of all that was added."""
        sizes = {"x": [2, 3, 9, 13]}
        if self.version < 9:  # arrays were inputs, too
            sizes |= {name: list(array.shape) for name, array in self.arrays.items()}
        types = {name: array.dtype for name, array in self.arrays.items()}
        inputs = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(types.get(name, np.dtype("f4"))), shape
            )
            for name, shape in sizes.items()
        ]
        output = helper.make_tensor_value_info(self.last, TensorProto.FLOAT, [2, 7])
        held = [numpy_helper.from_array(array, name) for name, array in self.arrays.items()]
        graph = helper.make_graph(self.nodes, "net", inputs, [output], held)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.version)])


def written(version: int) -> Writer:
    """A small network with what has changed between versions."""
    net, old = Writer(version), version < 7
    net.add("Conv", random(8, 3, 3, 2), kernel_shape=[3, 2], pads=[1, 0, 1, 1])
    modes = {"is_test": 1} if old else {}
    net.add("BatchNormalization", *(random(8, seed=n) for n in range(4)), **modes)
    net.add("Relu")
    net.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    shift = random(8) if old else random(8, 1, 1)
    net.add("Add", shift, **({"broadcast": 1, "axis": 1} if old else {}))
    net.until(11, "Clip", [np.float32(0), np.float32(6)], min=0.0, max=6.0)
    net.add("PRelu", random(8) if old else random(8, 1, 1))
    net.add("Dropout", **modes)
    net.until(5, "Reshape", [np.array([2, -1])], shape=[2, -1])
    net.add("Gemm", random(192, 5), random(5), **({"broadcast": 1} if old else {}))
    net.until(13, "Unsqueeze", [np.array([1])], axes=[1])
    net.until(13, "Squeeze", [np.array([1])], axes=[1])
    ends = [np.array([0]), np.array([4]), np.array([1])]
    net.until(10, "Slice", ends, axes=[1], starts=[0], ends=[4])
    beside = [0, 0, 0, 2]
    known = {"paddings": beside} if version < 2 else {"pads": beside}
    net.until(11, "Pad", [np.array(beside)], **known)
    net.until(13, "ReduceSum", [np.array([1])], axes=[1])
    return net


@pytest.mark.parametrize("version", range(1, NEWEST + 1))
def test_every_version_says_the_same(version: int, tmp_path: Path) -> None:
    network = network_from_onnx(saved(written(version).model(), tmp_path))
    assert tuple(layer.op for layer in network) == OPS
    assert macs(network) == CONV_MACS + GEMM_MACS


def test_old_spellings(tmp_path: Path) -> None:
    net = Writer(1)
    net.add("Cast", to="FLOAT16")
    net.add("Cast", to="FLOAT")
    net.join("Concat", [net.last, "x"])
    net.add("Upsample", height_scale=2.0, width_scale=3.0)
    found = network_from_onnx(saved(net.model(), tmp_path))
    assert found.layers[-1].words("ofmap") == 2 * 6 * 18 * 39


def test_an_operator_that_came_later_is_named(tmp_path: Path) -> None:
    net = Writer(6)
    net.add("Einsum", random(3, 4), equation="nchw,ck->nkhw")
    path = saved(net.model(), tmp_path)
    with pytest.raises(UnsupportedOperatorError, match="operator Einsum: is no operator of ONNX"):
        network_from_onnx(path)
