"""Other tools' environments, found or refused in one line, and their forms of a mapping."""

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import accelforge, environments, zigzag
from benchmarks.peers.environments import Peer, PeerError, ask, interpreter
from benchmarks.peers.layers import CONV2, DEPTHWISE, M45_POINTWISE
from hwsim.errors import MappingError
from hwsim.mapping import Loop, Mapping, Store, validate
from hwsim.simulate import best_mapping
from hwsim.workload import TENSORS, Layer

NEXT_CENTURY = Peer("tool", ("tool==1",), (3, 99), "tool.py")
TODAY = Peer("tool", ("tool==1",), (3, 11), "tool.py")


def test_a_python_that_is_too_old_is_one_line_with_what_to_run() -> None:
    with pytest.raises(PeerError, match=r"tool needs Python 3\.99 or newer") as caught:
        interpreter(NEXT_CENTURY)
    assert "\n" not in str(caught.value)
    assert "python -m benchmarks.mappers --peer-python PATH/TO/python3.99" in str(caught.value)


def test_the_python_that_a_user_names_is_taken() -> None:
    assert interpreter(TODAY, wanted=sys.executable) == sys.executable
    with pytest.raises(PeerError, match=r"tool needs Python 3\.11"):
        interpreter(TODAY, wanted="/no/such/python")


def _script(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (folder / "tool.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(environments, "__file__", str(folder / "environments.py"))


def test_a_peer_answers_with_its_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import json, sys; print('chatter'); print(json.dumps(json.load(sys.stdin) + 1))"
    _script(tmp_path, monkeypatch, text)
    assert ask(TODAY, 41, python=Path(sys.executable), limit_s=60) == 42


@pytest.mark.parametrize(
    ("text", "limit_s", "message"),
    [
        ("import time; time.sleep(60)", 0.5, r"tool: no answer within 0\.5 s"),
        ("raise SystemExit('no such layer')", 60, "tool: failed: no such layer"),
    ],
)
def test_a_peer_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, limit_s: float, message: str
) -> None:
    _script(tmp_path, monkeypatch, text)
    with pytest.raises(PeerError, match=message):
        ask(TODAY, None, python=Path(sys.executable), limit_s=limit_s)


def test_grouped_layers_have_a_group_dimension_in_zigzag_s_workload() -> None:
    (plain,) = zigzag.workload_records(M45_POINTWISE)
    (grouped,) = zigzag.workload_records(CONV2)
    assert plain["equation"] == "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]"
    assert grouped["equation"] == "O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]"
    assert dict(zip(grouped["loop_dims"], grouped["loop_sizes"], strict=True))["G"] == 2


def test_strides_go_with_rows_and_columns_in_zigzag_s_workload() -> None:
    layer = Layer(name="strided", P=4, Q=6, R=3, S=5, stride_h=2, stride_w=3, dilation_h=4)
    (records,) = zigzag.workload_records(layer)
    assert records["dimension_relations"] == ["ix=3*ox+1*fx", "iy=2*oy+4*fy"]
    assert records["pr_loop_sizes"] == [layer.W, layer.H]


def test_zigzag_judges_what_hwsim_finds() -> None:
    """No rule of its own is broken: fewer MACs than places x cycles, all of the energy positive."""
    layer = DEPTHWISE.at_bits(**zigzag.BITS)
    mapping, _ = best_mapping(layer, zigzag.machine())
    said = zigzag.verdict_of(layer, mapping)
    assert said.time.cycles * zigzag.machine().pes >= layer.macs
    assert said.energy_pj > layer.macs * 0.5


def test_accelforge_s_nodes_become_a_mapping() -> None:
    """Stores written above a loop that changes their tile are moved below it."""
    nodes: list[dict[str, Any]] = [
        {"kind": "Storage", "tensors": ["In", "Wt", "Out"], "component": "DRAM"},
        {"kind": "Spatial", "rank_variable": "c", "tile_shape": 8, "name": "Y"},
        {"kind": "Storage", "tensors": ["Wt"], "component": "spad_weight"},
        {"kind": "Reservation"},
        {"kind": "Storage", "tensors": ["In"], "component": "spad_ifmap"},
        {"kind": "Temporal", "rank_variable": "p", "tile_shape": 1},
        {"kind": "Storage", "tensors": ["Out"], "component": "spad_ofmap"},
        {"kind": "Temporal", "rank_variable": "c", "tile_shape": 1},
        {"kind": "Compute", "component": "MAC"},
    ]
    found = accelforge.mapping_of(nodes, accelforge.machine())
    assert found == Mapping(
        (
            *(Store("DRAM", (tensor,)) for tensor in TENSORS),
            Loop("C", 8, "Y"),
            Store("spad", ("weight",)),
            Loop("P", 1),
            Store("spad", ("ifmap",)),
            Store("spad", ("ofmap",)),
            Loop("C", 1),
        )
    )


def test_a_mapping_too_large_for_m45_is_refused() -> None:
    mapping = Mapping((Store("DRAM", TENSORS), Store("spad", TENSORS), Loop("K", 1)))
    with pytest.raises(MappingError, match="spad"):
        validate(mapping, Layer(name="wide", K=384), accelforge.machine())
