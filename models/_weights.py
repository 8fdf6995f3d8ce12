"""Find and load a network's trained weights."""

import importlib.metadata
import pickle
from pathlib import Path
from types import ModuleType
from zipfile import BadZipFile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from hwsim.errors import InputError

TORCH_SUFFIXES = (".pth", ".pt", ".th")
SUFFIXES = (".safetensors", *TORCH_SUFFIXES)
WRAPPER = "module."
# torch.load has no error of its own: a damaged file ends in any of these.
DAMAGE = (
    BadZipFile,
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    SafetensorError,
    ValueError,
    pickle.UnpicklingError,
)


def find_weights(network: ModuleType) -> Path | None:
    """Where the weights of a network file lie: beside it, or in an installed package.

    Reads the file's `WEIGHTS` (a file name) and `WEIGHTS_PACKAGE` (a pinned requirement). None
    where it names neither, or the package is not installed.
    """
    if beside := getattr(network, "WEIGHTS", None):
        return Path(str(network.__file__)).with_name(beside)
    if requirement := getattr(network, "WEIGHTS_PACKAGE", None):
        return installed_weights(requirement)
    return None


def installed_weights(requirement: str) -> Path | None:
    """The weights file inside the installed distribution `name==version`; None where absent."""
    name, _, version = requirement.partition("==")
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    if version and distribution.version != version:
        return None
    found = (file for file in distribution.files or () if file.suffix in SUFFIXES)
    return next((Path(str(distribution.locate_file(file))) for file in found), None)


def load_weights(model: nn.Module, path: Path) -> None:
    """Copy the weights in `path` into `model`, in place; half precision widens to float32.

    Reads .safetensors, and .pth, .pt or .th files that hold a dictionary of tensors, as
    torchvision's do, or one under `state_dict`, as training scripts leave it. Raises InputError,
    and leaves the model as it was, where the file is missing or corrupt, or where a tensor is
    missing, unknown, mis-shaped, not floating-point as expected, or not finite.
    """
    tensors = read_tensors(path)
    wanted = model.state_dict()
    for key in sorted(tensors.keys() - wanted.keys()):
        raise InputError(f"{path}: {key}: the network has no such tensor")
    for key, target in wanted.items():
        if key in tensors:
            check_tensor(tensors[key], target, where=f"{path}: {key}")
        elif not key.endswith(".num_batches_tracked"):  # older files lack this counter
            raise InputError(f"{path}: {key}: missing from the file")
    model.load_state_dict(tensors, strict=False)


def check_tensor(found: Tensor, wanted: Tensor, *, where: str) -> None:
    """Raise InputError unless `found` can stand for `wanted`."""
    if found.shape != wanted.shape:
        raise InputError(f"{where}: expected shape {[*wanted.shape]}, found {[*found.shape]}")
    if found.is_floating_point() != wanted.is_floating_point():
        raise InputError(f"{where}: expected type {wanted.dtype}, found {found.dtype}")
    if not found.isfinite().all():
        raise InputError(f"{where}: holds values that are not finite")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a weights file by name; raises InputError where it cannot be read."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: expected a file ending in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    try:
        if path.suffix in TORCH_SUFFIXES:
            content = torch.load(path, map_location="cpu", weights_only=True)
        else:
            content = load_file(path)
    except DAMAGE as fault:
        raise InputError(f"{path}: not a readable weights file: {first_line(fault)}") from fault
    if isinstance(content, dict) and "state_dict" in content:
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected a dictionary of tensors, found {type(content).__name__}"
        )
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise InputError(f"{path}: {key}: expected a tensor, found {type(value).__name__}")
    return without_wrapper(content)


def without_wrapper(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without the prefix that torch.nn.DataParallel puts before all names."""
    if all(key.startswith(WRAPPER) for key in tensors):
        return {key.removeprefix(WRAPPER): value for key, value in tensors.items()}
    return dict(tensors)


def first_line(fault: Exception) -> str:
    """What an exception says, on one line; its type where it says nothing."""
    return next(iter(str(fault).splitlines()), "") or type(fault).__name__
