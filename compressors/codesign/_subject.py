"""What a search is about: a trained network, its layers as the simulator sees them, and data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compressors._data import Data
from compressors._layers import compressible_layers, weighted_layers
from compressors._plan import Step
from compressors.structure._groups import Group, channel_groups
from hwsim._content import code_digest
from hwsim.errors import InputError
from hwsim.frontends.torch import network_from_torch, with_densities
from hwsim.workload import Network

Steps = tuple[Step, ...]
Evaluate = Callable[[nn.Module], float | Tensor]  # a share, or true or false for each image
DENSITY_IMAGES, CALIBRATION_IMAGES = 64, 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A model in evaluation mode, its `network` with the densities of maps, every word `bits` wide.

    `data` is what methods with labels learn from, `calibration` what the others do, and the first
    of its images are those that zeros are counted on.
    """

    model: nn.Module
    network: Network
    data: Data
    calibration: Data
    bits: int
    seed: int

    @property
    def images(self) -> Tensor:
        """Those on which zeros are counted."""
        return self.calibration.images[:DENSITY_IMAGES]

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The paths of all layers that are to be compressed, in the order of execution."""
        known = weighted_layers(self.model)
        return tuple(layer.name for layer in self.network if layer.name in known)

    @cached_property
    def groups(self) -> dict[str, Group]:
        """Groups of channels that can go, by the first layer that makes them."""
        try:
            found = channel_groups(self.model)
        except InputError:  # torch.fx cannot trace it; what removes channels will say so
            return {}
        return {group.producers[0]: group for group in found if group.producers and not group.fixed}

    def group_of(self, layer: str) -> str | None:
        """The name of the group of a layer's filters, if they can go."""
        return next((name for name, each in self.groups.items() if layer in each.producers), None)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that decides a trial, but for the plan."""
        found = sha256(f"{code_digest()}{library_digest()}{self.bits} {self.seed}".encode())
        found.update(repr(self.model).encode())
        for name, tensor in self.model.state_dict().items():
            found.update(name.encode() + _bytes(tensor))
        for data in (self.data, self.calibration):
            found.update(_bytes(data.images))
            found.update(b"" if data.labels is None else _bytes(data.labels))
        return found.hexdigest()


def subject_of(
    model: nn.Module,
    data: Data,
    *,
    calibration: Data | None,
    network: Network | None,
    bits: int,
    seed: int,
) -> Subject:
    """The subject, its network traced where none is given. Raises InputError where the network and
    the model differ, or have a layer that no search can handle."""
    model.eval()
    calibration = calibration or data.first(CALIBRATION_IMAGES)
    name = type(model).__name__
    traced = network or network_from_torch(model, (data.images[:1],), name=name)
    measured = with_densities(traced, model, calibration.images[:DENSITY_IMAGES])
    _check(measured, model)
    plain = {
        layer.name: layer.at_bits(ifmap=bits, weight=bits, ofmap=bits, psum=2 * bits)
        for layer in measured
    }
    return Subject(
        model=model,
        network=measured.with_layers(plain),
        data=data,
        calibration=calibration,
        bits=bits,
        seed=seed,
    )


def _check(network: Network, model: nn.Module) -> None:
    """Raises InputError for layers that cannot be told apart, or are not simulated."""
    named = {layer.name for layer in network}
    for path in compressible_layers(model).keys() - named:
        raise InputError(f"layer {path!r}: is in the model, but not among the layers simulated")
    modules = dict(model.named_modules())
    if not weighted_layers(model):
        raise InputError(f"{type(model).__name__}: no convolution or linear layer to compress")
    for layer in network:
        if layer.weighted and layer.name not in modules:
            raise InputError(f"layer {layer.name!r}: has no module of its own, or is called twice")


def with_sizes(network: Network, found: Mapping[str, Mapping[str, Any]]) -> Network:
    """The network with other sizes of some layers."""
    resized = {name: replace(network[name], **sizes) for name, sizes in found.items()}
    return network.with_layers(resized)


@cache
def library_digest() -> str:
    """SHA-256 of the sources of all methods."""
    root = Path(str(files("compressors")))
    sources: Sequence[Path] = sorted(root.rglob("*.py"))
    own = root / "codesign"
    texts = (path.read_bytes() for path in sources if own not in path.parents)
    return sha256(b"".join(texts)).hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    plain = tensor.detach().cpu().contiguous()
    return (
        str((plain.dtype, tuple(plain.shape))).encode()
        + plain.view(-1).view(torch.uint8).numpy().tobytes()
    )
