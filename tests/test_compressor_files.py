"""Compressed networks on disk, where files are not as they should be."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from compressors import compress, load, save, uniform
from hwsim.errors import InputError


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    return nn.Sequential(*layers).eval()


@pytest.fixture
def saved(model: nn.Module, tmp_path: Path) -> Path:
    plan = uniform("kmeans_weight_sharing", "huffman_coding")
    save(compress(model, plan), tmp_path / "saved", plan=plan)
    return tmp_path / "saved"


def test_nothing_half_written_stays(
    model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("compressors._files.save_file", broken)
    plan = uniform("shiftcnn")
    with pytest.raises(OSError, match="disk full"):
        save(compress(model, plan), tmp_path / "out", plan=plan)
    assert list(tmp_path.iterdir()) == []


def test_never_writes_over_a_folder(model: nn.Module, saved: Path) -> None:
    plan = uniform("shiftcnn")
    with pytest.raises(InputError, match="exists already"):
        save(compress(model, plan), saved, plan=plan)


def test_refuses_another_network(saved: Path) -> None:
    for other in (nn.Sequential(nn.Conv2d(1, 4, 3)), nn.Sequential(nn.Linear(4, 4)), nn.ReLU()):
        with pytest.raises(InputError, match="not of this network") as caught:
            load(saved, other)
        assert "\n" not in str(caught.value)


def test_refuses_damage(model: nn.Module, saved: Path) -> None:
    packed = (saved / "codes.bin").read_bytes()
    (saved / "codes.bin").write_bytes(packed + b"\0")
    with pytest.raises(InputError, match="the headers ask for"):
        load(saved, model)
    (saved / "codes.bin").write_bytes(packed[:-1])
    with pytest.raises(InputError, match="asks for"):
        load(saved, model)
    (saved / "codes.bin").write_bytes(packed)
    (saved / "rest.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="damaged"):
        load(saved, model)
    (saved / "rest.safetensors").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        load(saved, model)


def test_refuses_another_version(model: nn.Module, saved: Path) -> None:
    found = json.loads((saved / "plan.json").read_text())
    (saved / "plan.json").write_text(json.dumps(found | {"version": 99}))
    with pytest.raises(InputError, match="version"):
        load(saved, model)
