"""Content hashes: blind to labels, to nothing else, and to no file that decides a cost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim import _content
from hwsim._content import code_digest, digest, sources
from hwsim.constraints import Constraints
from hwsim.found import Question
from hwsim.hardware import Accelerator, Array
from hwsim.mac import Precision
from hwsim.registry import names
from hwsim.sparsity import Format
from hwsim.workload import Decoder, Op, Primitive, Storage, Stored, Tensor, Zeros
from tests.eyeriss import EYERISS
from tests.machines import CONV
from tests.test_imports import ROOT, imports_of

ASKED = Question(layer=CONV, machine=EYERISS)


def asked_of(**changes: object) -> Question:
    """The question with a machine that differs."""
    return replace(ASKED, machine=EYERISS.model_copy(update=changes))


def relabelled(machine: Accelerator) -> Accelerator:
    """The machine under another name, every source another."""
    parts = [
        part
        if isinstance(part, Array)
        else part.model_copy(
            update={"memories": tuple(m.model_copy(update={"source": "?"}) for m in part.memories)}
        )
        for part in machine.hierarchy
    ]
    labels = {"name": "other", "description": "another", "source": "elsewhere"}
    inner = {
        "mac": machine.mac.model_copy(update={"source": "?"}),
        "control": machine.control.model_copy(update={"source": "?"}),
    }
    return machine.model_copy(update={**labels, **inner, "hierarchy": tuple(parts)})


class TestLabels:
    def test_a_layers_name(self) -> None:
        assert digest(replace(ASKED, layer=replace(CONV, name="other"))) == digest(ASKED)

    def test_a_machines_names_and_sources(self) -> None:
        other = relabelled(EYERISS)
        assert other != EYERISS
        assert digest(replace(ASKED, machine=other)) == digest(ASKED)

    def test_numbers_of_numpy(self) -> None:
        sizes: dict[str, Any] = {"K": np.int64(CONV.K), "stride_h": np.uint8(CONV.stride_h)}
        same = replace(CONV, **sizes)
        assert digest(replace(ASKED, layer=same)) == digest(ASKED)


LAYERS = {
    "op": replace(CONV, op=Op.POOL),
    **{dim: replace(CONV, **{dim: getattr(CONV, dim) + 1}) for dim in "NGKCPQRSHW"},
    "stride_h": replace(CONV, stride_h=2),
    "stride_w": replace(CONV, stride_w=2),
    "dilation_h": replace(CONV, dilation_h=2),
    "dilation_w": replace(CONV, dilation_w=2),
    "pad_h": replace(CONV, pad_h=1),
    "pad_w": replace(CONV, pad_w=1),
    "operands": replace(CONV, operands=2),
    "ifmap": replace(CONV, ifmap=Tensor(bits=8)),
    "weight": replace(CONV, weight=Tensor(bits=8)),
    "ofmap": replace(CONV, ofmap=Tensor(bits=8)),
    "psum": replace(CONV, psum=Tensor(bits=8)),
    "density": replace(CONV, ifmap=Tensor(density=0.5)),
    "primitive": replace(CONV, primitive=Primitive.ADD),
    "stored": replace(CONV, weight=Tensor(stored=(Stored(99, (Decoder.HASH,)),))),
}


def of_level(index: int, **changes: object) -> Question:
    """The question with a machine whose first memory of a level differs."""
    level = EYERISS.levels[index]
    memory = level.memories[0].model_copy(update=changes)
    other = level.model_copy(update={"memories": (memory, *level.memories[1:])})
    parts = (other if part is level else part for part in EYERISS.hierarchy)
    return asked_of(hierarchy=tuple(parts))


def axes_turned() -> Question:
    """The question with a machine whose axes come in the other order."""
    parts = (
        part.model_copy(update={"axes": dict(reversed(part.axes.items()))})
        if isinstance(part, Array)
        else part
        for part in EYERISS.hierarchy
    )
    return asked_of(hierarchy=tuple(parts))


MACHINES = {
    "clock": asked_of(clock_mhz=EYERISS.clock_mhz + 1),
    "fused": asked_of(fused=()),
    "padding": asked_of(stores_padding=not EYERISS.stores_padding),
    "dataflow": asked_of(dataflow="weight_stationary"),
    "adders": asked_of(mac=EYERISS.mac.model_copy(update={"psum_bits": 17})),
    "leakage": asked_of(control=EYERISS.control.model_copy(update={"leakage_mw": 0.125})),
    "technology": asked_of(technology=EYERISS.technology.model_copy(update={"voltage": 0.7})),
    "capacity": of_level(1, capacity_bits=12345),
    "energy": of_level(0, read_pj_per_bit=1.25),
    "energy's last bit": of_level(0, read_pj_per_bit=np.nextafter(1.25, 2)),
    "a format by name": of_level(0, formats={"ifmap": Storage.BITMAP}),
    "a format in full": of_level(0, formats={"ifmap": Format(storage=Storage.BITMAP)}),
    "decoders": of_level(0, decoders={"weight": (Decoder.HASH,)}),
    "precision": asked_of(
        mac=EYERISS.mac.model_copy(update={"precision": Precision(widths={"weight": (8, 16)})})
    ),
    "stated energy": asked_of(
        mac=EYERISS.mac.model_copy(update={"primitive_pj": {Primitive.ADD: 0.5}})
    ),
    "axes": axes_turned(),
}


class TestContent:
    @pytest.mark.parametrize("changed", LAYERS)
    def test_every_key_of_a_layer_counts(self, changed: str) -> None:
        assert digest(replace(ASKED, layer=LAYERS[changed])) != digest(ASKED)

    def test_no_two_machines_are_alike(self) -> None:
        found = [digest(ASKED), *map(digest, MACHINES.values())]
        assert len(set(found)) == len(found)

    def test_the_objective_and_the_budget_count(self) -> None:
        others = (replace(ASKED, objective="energy"), replace(ASKED, budget_s=1.0))
        assert len({digest(each) for each in (ASKED, *others)}) == 3

    def test_terms_and_codes_count(self) -> None:
        shifting = replace(CONV, primitive=Primitive.SHIFT_ADD)
        others = [shifting, replace(shifting, terms=2)]
        codes = (Stored(9, (Decoder.HASH,)), Stored(8, (Decoder.HASH,)), Stored(9, tuple(Decoder)))
        others += [replace(CONV, weight=Tensor(stored=(code,))) for code in codes]
        assert len({digest(replace(ASKED, layer=each)) for each in others}) == len(others)

    def test_zeros_count_where_they_are(self) -> None:
        def with_zeros(array: NDArray[np.int64]) -> Question:
            zeros = Zeros.of(array.reshape(CONV.shape("weight")))
            return replace(ASKED, layer=replace(CONV, weight=Tensor(zeros=zeros)))

        array = np.arange(CONV.words("weight")) % 2
        assert digest(with_zeros(array)) == digest(with_zeros(3 * array))
        assert digest(with_zeros(array)) != digest(with_zeros(1 - array))

    def test_limits_and_constraints_count(self) -> None:
        others = (
            replace(ASKED, max_cycles=5),
            replace(ASKED, constraints=Constraints(dataflow="row_stationary")),
            replace(ASKED, constraints=Constraints(bypass={"GLB": ("weight",)})),
            replace(ASKED, constraints=Constraints(keep={"GLB": ("weight",)})),
            replace(ASKED, constraints=Constraints(spatial={"X": ("K",)})),
            replace(ASKED, constraints=Constraints(tiles={"GLB": {"K": 2}})),
            replace(ASKED, constraints=Constraints(tiles={"GLB": {"K": 3}})),
        )
        assert len({digest(each) for each in (ASKED, *others)}) == 1 + len(others)
        assert digest(replace(ASKED, constraints=Constraints())) == digest(ASKED)

    def test_what_has_no_content_is_refused(self) -> None:
        with pytest.raises(TypeError, match="object has no form in JSON"):
            digest(object())


class TestCode:
    def test_all_that_the_search_imports_is_covered(self) -> None:
        """Against the syntax trees, which see every form of import."""
        left = ["hwsim.simulate", *(f"hwsim.dataflows.{name}" for name in names("dataflow"))]
        reached: dict[str, Path] = {}
        while left:
            name = left.pop()
            path = ROOT / f"{name.replace('.', '/')}.py"
            if name not in reached and path.is_file():
                reached[name] = path
                left += imports_of(path)
        found = {name: source for name, source in sources().items() if source}
        assert found == {name: path.read_bytes() for name, path in reached.items()}

    def test_what_decides_costs_is_covered_and_what_shows_them_is_not(self) -> None:
        decide = {"cost", "latency", "technology", "dataflows.row_stationary", "_lanes"}
        show = {"cli", "report", "table", "experiment", "playback", "validate"}
        assert {f"hwsim.{name}" for name in decide} <= sources().keys()
        assert not {f"hwsim.{name}" for name in show} & sources().keys()

    def test_another_source_is_another_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = digest(ASKED)
        altered = {**sources(), "hwsim.cost": b"# dearer"}
        code_digest.cache_clear()
        monkeypatch.setattr(_content, "sources", lambda: altered)
        after = digest(ASKED)
        code_digest.cache_clear()
        assert after != before
