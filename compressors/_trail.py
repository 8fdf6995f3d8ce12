"""What a long job has finished, step by step, in a folder: killed at any time, it goes on there."""

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hwsim._content import to_json

Record: TypeAlias = Mapping[str, Any]
RECORD = "record"


class Trail:
    """Named steps of one job, each a record that is JSON-able and tensors; without a folder, none.

    `key` tells jobs apart: see `key_of`. A step appears whole or not at all; a damaged one is none.
    """

    def __init__(self, folder: Path | None = None, key: str = "") -> None:
        self.folder = folder / key if folder else None

    def recall(self, step: str) -> tuple[Record, dict[str, Tensor]] | None:
        """What was kept of a step, or None."""
        if self.folder is None:
            return None
        try:
            with safe_open(self._file(step), framework="pt") as file:
                record: Record = json.loads(file.metadata()[RECORD])
                return record, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return None

    def keep(self, step: str, record: Record, tensors: Mapping[str, Tensor] | None = None) -> None:
        """Write a step."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        plain = {name: tensor.detach().contiguous() for name, tensor in (tensors or {}).items()}
        part = self.folder / f".{step}.{os.getpid()}"
        part.write_bytes(save(plain, metadata={RECORD: json.dumps(record)}))
        os.replace(part, self._file(step))

    def _file(self, step: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{step}.safetensors"


def key_of(*parts: object) -> str:
    """A name, hexadecimal, for what a job is given: tensors, mappings and what JSON can say."""
    digest = sha256()
    for part in parts:
        _feed(digest.update, part)
    return digest.hexdigest()[:20]


def _feed(update: Any, part: object) -> None:
    if isinstance(part, Tensor):
        update(f"{part.dtype}{[*part.shape]}".encode())
        update(part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(part, Mapping):
        for name, value in part.items():
            update(f"{name}:".encode())
            _feed(update, value)
    else:
        update(to_json(part).encode())
