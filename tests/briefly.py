"""Commands of the pages with little to do: `python -m tests.briefly "hwsim run shiftcnn" ...`.

The commands are as they are printed and the code as it is; but data sets are a few hundred images
(those to train on are others that ship), networks of scenarios that name no layers are small, what
trains takes few steps, and benchmarks measure one case of their kind.
"""

import shlex
import sys
from functools import wraps
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from data import fashion_mnist
from hwsim import registry
from hwsim.cli import main as hwsim
from hwsim.config import read_yaml
from models import _train_fashion
from models._recipe import Recipe
from models._weights import find_weights

TESTS, TRAINS = 400, 128
SMALL, TINY = "lenet5_fashion", "lenet_300_100_fashion"
CASES: dict[str, object] = {
    "benchmarks.energy_aware.PLACES": ((SMALL, "zero_skipping", 1, 2),),
    "benchmarks.energy_aware.ROUND_BY_ROUND": ("none", "energy", "magnitude, all alike"),
    "benchmarks.energy_aware.JUDGES": 200,
    "benchmarks.exploration.NETWORK": SMALL,
    "benchmarks.exploration.MACHINES": ("systolic_ws",),
    "benchmarks.exploration.SHAPES": 1,
    "benchmarks.exploration.SHARED": (1,),
    "benchmarks.exploration.PARAMETERS": {
        "GLB.ifmap.capacity_bits": {"from": 2**18, "to": 2**19, "step": 2**16},
        "clock_mhz": [100, 200],
    },
    "benchmarks.netadapt.JUDGES": 200,
    "benchmarks.netadapt.SHARES": 4,
}
TYPED = ("benchmarks.energy_aware", "benchmarks.netadapt")  # whose options typer reads
# Programs that are told an effort.
MAPPED = ("benchmarks.whole_space", "benchmarks.dataflows", "benchmarks.skipped_zeros")


def scenario(file: Path) -> dict[str, Any]:
    """What a scenario says, with fewer images, and where it names no layers of another network."""
    content = read_yaml(file)
    side = content["compressed"]
    if set(side.get("plan", "*")) == {"*"} and content["dataset"]["name"] == "fashion_mnist":
        content["network"] = TINY if "search" in side or "--effort" in sys.argv else SMALL
    if "search" in side:
        side["search"] |= {"images": 60, "confirm": 100}
    for step in side.get("plan", {}).get("*", []):
        if "rounds" in step["config"]:
            step["config"]["rounds"] = 1
    return content


@wraps(fashion_mnist.load)
def load(*, limit: int | None = None, **given: Any) -> Any:
    """The first images alone."""
    return LOAD(limit=min(limit or TESTS, TESTS), **given)


LOAD = fashion_mnist.load


def read_split(source: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The last images that ship, in place of those to train on."""
    arrays = fashion_mnist.read_archive(fashion_mnist.ARCHIVE)
    return arrays["images"][-TRAINS:], arrays["labels"][-TRAINS:]


def read_training(folder: Path) -> tuple[Tensor, Tensor]:
    """The same, as networks take them."""
    images, labels = read_split(folder, "train")
    return fashion_mnist.normalise(images), torch.from_numpy(labels.astype(np.int64))


def weights(network: ModuleType) -> Path | None:
    """Those that a network begins with where there are no trained ones."""
    if found := find_weights(network):
        return found
    save_file(network.build().state_dict(), f"{network.__name__}.safetensors")
    return Path(f"{network.__name__}.safetensors")


def recipe(network: str) -> Recipe:
    """A network's, for one epoch."""
    found: Recipe = registry.module("network", network).RECIPE
    return Recipe(**{**vars(found), "epochs": 1})


def here(path: Path, content: bytes) -> None:
    """Trained weights are kept in this folder, not beside the network."""
    Path(path.name).write_bytes(content)


def shorten(program: str) -> None:
    """Makes smaller whatever a program uses."""
    changes: dict[str, object] = {
        "data.fashion_mnist.load": load,
        "data.fashion_mnist.read_training": read_training,
        "hwsim.scenario_file.read_yaml": scenario,
        "models._train_fashion.read_split": read_split,
        "models._train_fashion.write_atomically": here,
        "models._weights.find_weights": weights,
    }
    changes |= {f"models.{name}.RECIPE": recipe(name) for name in _train_fashion.recipes()}
    changes |= {name: value for name, value in CASES.items() if name.startswith(f"{program}.")}
    for name, value in changes.items():
        patch(name, value).start()


def run(program: str, *arguments: str) -> None:
    """Runs `hwsim`, or a module that a page starts with `python -m`. Raises SystemExit."""
    shorten(program)
    sys.argv = [program, *arguments]
    if program == "hwsim":
        hwsim()
    elif program in TYPED:
        typer.run(import_module(program).main)
    elif program in MAPPED:
        import_module(program).main(1000)
    else:
        import_module(program).main()


def main() -> None:
    """Runs one command after another, up to one that fails, which it names."""
    for command in sys.argv[1:]:
        try:
            run(*shlex.split(command))
        except SystemExit as end:
            if end.code:
                sys.exit(f"{command}: ended with {end.code}")


if __name__ == "__main__":
    main()
