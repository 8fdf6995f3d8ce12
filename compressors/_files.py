"""A compressed network on disk: what was done, the packed codes, and everything else.

A folder of three files. `plan.json` holds the plan and the headers of the codes, `codes.bin` their
payloads one after the other, each filled up to a byte, and `rest.safetensors` all tensors that no
code holds: biases, batch-norms, quantisers of activations.
"""

import copy
import json
import os
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from compressors._plan import Plan
from compressors.activations._quantiser import input_quantiser, quantise_input_
from compressors.codes._bytes import code_of_bytes, header, payload
from compressors.codes.levels import Levels
from compressors.fixed.layers import FixedPointLayer
from compressors.fixed.recipe import Recipe, fixed_layers, rebuilt, recipe_of
from compressors.structure._widths import set_widths_, widths_of
from compressors.weights._form import code_of, parametrized, set_form_, strip_
from compressors.weights.held import Held
from hwsim.config import parse
from hwsim.errors import InputError

VERSION = 1
PLAN, CODES, REST = "plan.json", "codes.bin", "rest.safetensors"
WEIGHT_CODES = "weight_codes"  # of a layer in fixed point


def save(model: nn.Module, folder: Path, *, plan: Plan) -> int:
    """Write a network that `compress` returned; the bytes of all files.

    The folder appears whole or not at all. Raises InputError where it exists, and for a graph that
    is not `fixed_point`'s.
    """
    if isinstance(model, torch.fx.GraphModule) and recipe_of(model) is None:
        raise InputError(f"{folder}: a rewritten graph cannot be saved this way; export it instead")
    if folder.exists():
        raise InputError(f"{folder}: exists already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    part.mkdir()
    try:
        _write(model, part, plan)
        size = sum(file.stat().st_size for file in part.iterdir())
        os.replace(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return size


def _write(model: nn.Module, folder: Path, plan: Plan) -> None:
    codes, packed = [], b""
    for path, layer, tensor in parametrized(model):
        code = code_of(layer, tensor)
        codes.append({"path": path, "tensor": tensor} | header(code))
        packed += payload(code)
    for path, part in fixed_layers(model).items():
        codes.append({"path": path, "tensor": WEIGHT_CODES} | header(part.code()))
        packed += payload(part.code())
    recipe = recipe_of(model)
    found = {
        "version": VERSION,
        "plan": plan.model_dump(mode="json"),
        "widths": widths_of(model),
        "codes": codes,
        "quantisers": _quantisers(model),
        **({"graph": recipe.model_dump(mode="json")} if recipe else {}),
    }
    (folder / CODES).write_bytes(packed)
    (folder / PLAN).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    save_file(_rest(model), folder / REST)


def _rest(model: nn.Module) -> dict[str, Tensor]:
    """The tensors that no code holds."""
    return {
        name: tensor.detach().clone().contiguous()
        for name, tensor in model.state_dict().items()
        if not {"parametrizations", WEIGHT_CODES} & set(name.split("."))
    }


def _quantisers(model: nn.Module) -> list[dict[str, Any]]:
    found = []
    for path, layer in model.named_modules():
        quantiser = input_quantiser(layer)
        if quantiser is not None:
            kind = type(quantiser).__module__.rpartition(".")[2]
            settings = quantiser.settings.model_dump(mode="json")
            found.append({"path": path, "kind": kind, "settings": settings})
    return found


def load(folder: Path, model: nn.Module) -> nn.Module:
    """The network that `save` wrote, as a copy of the uncompressed `model`, in evaluation mode.

    `model` gives the architecture; where channels were removed its layers shrink. Weights are held
    as they were stored. Raises InputError for files that are missing, damaged or of another model.
    """
    found, packed, rest = _read(folder)
    loaded = copy.deepcopy(model).eval()
    for _, layer, tensor in list(parametrized(loaded)):
        strip_(layer, tensor)
    try:
        _attach(loaded, found["quantisers"])
        loaded = _shaped(loaded, found)
    except (AttributeError, InputError, KeyError) as fault:
        raise InputError(f"{folder}: is not of this network: {fault}") from fault
    try:
        _hold(loaded, found["codes"], packed)
        _fill(loaded, rest)
    except (AttributeError, KeyError, RuntimeError) as fault:
        reason = str(fault).splitlines()[0]
        raise InputError(f"{folder}: is not of this network: {reason}") from fault
    return loaded.eval()


def _shaped(model: nn.Module, found: dict[str, Any]) -> nn.Module:
    """The network with the widths noted, its graph rewritten where the one saved was."""
    if "graph" in found:
        recipe = parse(found["graph"], Recipe, file=PLAN)
        return rebuilt(model, recipe, found["widths"])
    set_widths_(model, found["widths"])
    return model


def _attach(model: nn.Module, quantisers: list[dict[str, Any]]) -> None:
    for noted in quantisers:
        kind = import_module(f"compressors.activations.{noted['kind']}")
        settings = kind.Settings.model_validate(noted["settings"])
        quantise_input_(model.get_submodule(noted["path"]), kind.QUANTISER(settings))


def _read(folder: Path) -> tuple[dict[str, Any], bytes, dict[str, Tensor]]:
    try:
        found = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        packed, rest = (folder / CODES).read_bytes(), load_file(folder / REST)
    except OSError as fault:
        raise InputError(f"{fault.filename or folder}: cannot be read: {fault.strerror}") from fault
    except (ValueError, SafetensorError) as fault:
        raise InputError(f"{folder}: is damaged: {str(fault).splitlines()[0]}") from fault
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise InputError(f"{folder / PLAN}: version: must be {VERSION}")
    return found, packed, rest


def _hold(model: nn.Module, codes: list[dict[str, Any]], packed: bytes) -> None:
    at = 0
    for noted in codes:
        bits = 32 * sum(torch.Size(shape).numel() for shape in noted["tables"].values())
        bits += sum(count * width for count, width in noted["streams"].values())
        size = -(-bits // 8)
        code = code_of_bytes(noted, packed[at : at + size])
        layer = model.get_submodule(noted["path"])
        if isinstance(layer, FixedPointLayer) and isinstance(code, Levels):
            layer.hold_(code)
        else:
            setattr(layer, noted["tensor"], nn.Parameter(code.decode()))
            set_form_(layer, Held(code), noted["tensor"])
        at += size
    if at != len(packed):
        raise InputError(f"{CODES}: {len(packed)} bytes: the headers ask for {at}")


def _fill(model: nn.Module, rest: dict[str, Tensor]) -> None:
    missing = _rest(model).keys() ^ rest.keys()
    if missing:
        raise KeyError(min(missing))
    model.load_state_dict(rest, strict=False)
