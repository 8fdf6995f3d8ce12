"""ONNX files that cannot be read or simulated: one line names file, node and reason."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from hwsim.errors import UnsupportedOperatorError
from hwsim.frontends.onnx import network_from_onnx
from tests.complaints import refused
from tests.onnx_models import CONV, model, random, saved


def test_what_cannot_be_simulated_is_named(tmp_path: Path) -> None:
    def said(text: str, **arrays: Any) -> str:
        path = saved(model(text, **arrays), tmp_path)
        with pytest.raises(UnsupportedOperatorError) as caught:
            network_from_onnx(path)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(f"{path}: ")
        return str(caught.value).removeprefix(f"{path}: ")

    unknown = "agraph (float[3] x) => (float[3] y) { y = my.Thing(x) }"
    assert said(unknown) == ("the node that makes 'y': operator my.Thing: is no operator of ONNX")
    data = "agraph (float[3] x) => (int64[1, n] y) { y = NonZero(x) }"
    assert "operator NonZero: the shape of its result depends on the data" in said(data)
    volume = "agraph (float[1, 2, 3, 4, 5] x) => (float[1, 2, 3, 4, 5] y) { y = Conv(x, w) }"
    assert "neither a signal nor an image" in said(volume, w=random(2, 2, 1, 1, 1))
    known = "agraph (float[3] x) => (float[3] y) { a = Det(m) y = Add(x, a) }"
    sums = "agraph (float[3] x) => (float[3] y) { y = CumSum(x, zero) }"
    assert "operator CumSum: the simulator has no model of it" in said(sums, zero=np.int64(0))
    network_from_onnx(saved(model(known, m=random(2, 2)), tmp_path))


def test_open_sizes_are_asked_for(tmp_path: Path) -> None:
    text = "agraph (float[N, 3, H, 12] x) => (float[N, 3, H, 12] y) { y = Relu(x) }"
    path = saved(model(text), tmp_path)
    refused(
        lambda: network_from_onnx(path),
        f"{path}: input 'x' is N x 3 x H x 12: give its sizes, as in --shape x=1,3,224,224",
    )
    (layer,) = network_from_onnx(path, shapes={"x": (2, 3, 7, 12)})
    assert (layer.N, layer.G, layer.P, layer.Q) == (2, 3, 7, 12)
    refused(lambda: network_from_onnx(path, shapes={"z": (1,)}), f"{path}: has no input 'z': x")
    refused(lambda: network_from_onnx(path, shapes={"x": (1, 3)}), f"{path}: input 'x' has 4 axes")


def test_sizes_that_do_not_fit_are_named_with_their_node(tmp_path: Path) -> None:
    path = saved(model(CONV, w=random(8, 4, 3, 2)), tmp_path)
    refused(lambda: network_from_onnx(path), f"{path}: the node that makes 'made': operator Conv")


def test_files_that_are_no_models(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    refused(lambda: network_from_onnx(path), f"{path}: no such ONNX file")
    path.write_bytes(b"")
    refused(lambda: network_from_onnx(path), f"{path}: is not an ONNX file")
    path.write_text("no model at all, but quite some text", encoding="utf-8")
    refused(lambda: network_from_onnx(path), f"{path}: is not an ONNX file")
    whole = model(CONV, w=random(8, 3, 3, 2)).SerializeToString()
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        refused(lambda: network_from_onnx(path), f"{path}: ")
    refused(lambda: network_from_onnx(tmp_path), f"{tmp_path}: cannot be read")


def test_data_kept_elsewhere_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(
        model(CONV, w=random(8, 3, 3, 2)),
        path,
        save_as_external_data=True,
        location="net.data",
        size_threshold=0,
    )
    assert network_from_onnx(path).layers[0].K == 8
    (tmp_path / "net.data").write_bytes(b"short")
    refused(lambda: network_from_onnx(path), f"{path}: data kept outside the file is damaged")
    (tmp_path / "net.data").unlink()
    refused(lambda: network_from_onnx(path), f"{path}: data kept outside the file is missing")


def test_a_graph_that_reads_what_nothing_makes_is_damaged(tmp_path: Path) -> None:
    found = model(CONV, w=random(8, 3, 3, 2))
    found.graph.node[1].input[0] = "gone"
    path = saved(found, tmp_path)
    refused(lambda: network_from_onnx(path), f"{path}: is damaged: Relu '' reads 'gone'")


def test_an_operator_without_its_operands_is_named(tmp_path: Path) -> None:
    path = saved(model("agraph (float[4, 9] x) => (float[4, 9] y) { y = STFT(x) }"), tmp_path)
    said = f"{path}: the node that makes 'y': operator STFT: its operands do not fit"
    refused(lambda: network_from_onnx(path), said)
