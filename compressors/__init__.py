"""The compression methods, one file each, and the plans that combine them."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compressors._candidate_sets import candidate_set as candidate_set
    from compressors._compress import check as check
    from compressors._compress import compress as compress
    from compressors._compress import compress_ as compress_
    from compressors._data import Data as Data
    from compressors._files import load as load
    from compressors._files import save as save
    from compressors._fit import Fit as Fit
    from compressors._fit import tune_ as tune_
    from compressors._layers import weight_codes as weight_codes
    from compressors._lower import lower as lower
    from compressors._onnx import to_onnx as to_onnx
    from compressors._plan import Plan as Plan
    from compressors._plan import Step as Step
    from compressors._plan import read_plan as read_plan
    from compressors._plan import uniform as uniform
    from compressors.weights._form import code_of as code_of
    from compressors.weights._form import frozen as frozen

# Loaded when asked for: the names of the methods can be listed without torch.
_HOMES = {
    "Data": "_data",
    "Fit": "_fit",
    "Plan": "_plan",
    "Step": "_plan",
    "candidate_set": "_candidate_sets",
    "check": "_compress",
    "code_of": "weights._form",
    "weight_codes": "_layers",
    "compress": "_compress",
    "compress_": "_compress",
    "frozen": "weights._form",
    "load": "_files",
    "lower": "_lower",
    "read_plan": "_plan",
    "save": "_files",
    "tune_": "_fit",
    "to_onnx": "_onnx",
    "uniform": "_plan",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
