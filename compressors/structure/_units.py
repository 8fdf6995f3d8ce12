"""Channels joined into maxout units while a network trains: who lives, and who wins."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase as Norm

from compressors._data import Data
from compressors._probe import batches
from compressors.structure._flow import graph_of
from compressors.structure._groups import Group, Member
from hwsim.accuracy import one_thread
from hwsim.errors import InputError

Seeing: TypeAlias = "Callable[[Units, Joint, Tensor], Tensor | None]"


class Joint:
    """The place where a layer's map ends, and the channels of each unit there."""

    def __init__(self, model: nn.Module, member: Member, units: Sequence[Tensor]) -> None:
        self.path, self.atoms = _end(model, member.path), member.atoms
        channels = {int(atom): channel for channel, atom in enumerate(member.atoms)}
        if len(channels) < len(member.atoms):
            raise InputError(f"layer {member.path!r}: maxout: its filters only go in groups")
        rows = [[channels[int(a)] for a in unit if int(a) in channels] for unit in units]
        rows = [row for row in rows if row]
        most = max(map(len, rows))
        # A unit that is short is filled up with its first neuron, which changes no maximum.
        self.table = torch.tensor([row + row[:1] * (most - len(row)) for row in rows])
        self.unit_of = torch.zeros(len(channels), dtype=torch.int64)
        self.unit_of[self.table] = torch.arange(len(rows))[:, None]


class Units:
    """Neighbouring atoms of a group, joined: who of a unit lives, and how often each has won."""

    def __init__(self, model: nn.Module, group: Group, pieces: int) -> None:
        self.group = group
        self.units = [unit for atoms in group.strata for unit in torch.split(atoms, pieces)]
        self.alive = torch.ones(group.size, dtype=torch.bool)
        self.wins = torch.zeros(group.size, dtype=torch.int64)
        self.joints = [Joint(model, member, self.units) for member in group.on("out")]
        for member in group.on("each"):
            if member.path not in {joint.path for joint in self.joints}:
                raise InputError(f"layer {member.path!r}: maxout: would tell joined channels apart")

    def living(self, joint: Joint, values: Tensor) -> Tensor:
        """[..., units, pieces] of values [..., K]; the dead are less than anything."""
        alive = self.alive[joint.atoms]
        return torch.where(alive, values, -torch.inf)[..., joint.table]

    def joined(self, joint: Joint, values: Tensor) -> Tensor:
        """[..., K]: the largest of each unit, for all its neurons."""
        return self.living(joint, values).amax(-1)[..., joint.unit_of]

    def count(self, joint: Joint, values: Tensor) -> None:
        """Give every unit's winner a point for each sample."""
        winners = self.living(joint, values).argmax(-1)
        channels = joint.table[torch.arange(len(joint.table)), winners]
        self.wins += torch.bincount(joint.atoms[channels].flatten(), minlength=len(self.wins))

    def drop_losers(self) -> None:
        """Of each unit of more than one, the neuron with fewest wins dies."""
        for unit in self.units:
            living = unit[self.alive[unit]]
            if len(living) > 1:
                self.alive[living[self.wins[living].argmin()]] = False
        self.wins.zero_()

    def mix(self) -> Tensor:
        """[size, size]: the survivor of each unit speaks for all of it."""
        mix = torch.zeros(len(self.wins), len(self.wins), dtype=torch.float64)
        for unit in self.units:
            mix[unit[self.alive[unit]][:, None], unit] = 1
        return mix


def _end(model: nn.Module, path: str) -> str:
    """The normalisation that alone reads a layer, or the layer."""
    node = next(n for n in graph_of(model).nodes if n.op == "call_module" and n.target == path)
    after = str(next(iter(node.users)).target)
    alone = len(node.users) == 1 and after in dict(model.named_modules())
    return after if alone and isinstance(model.get_submodule(after), Norm) else path


@contextmanager
def hooked(model: nn.Module, groups: Sequence[Units], see: Seeing) -> Iterator[None]:
    """`see(units, joint, values [..., K])` for a while at every joint; what it returns, if
    anything, is what the network sees there.
    """
    handles = []
    for units in groups:
        for joint in units.joints:
            hook = partial(_seen, see, units, joint)
            handles.append(model.get_submodule(joint.path).register_forward_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _seen(
    see: Seeing, units: Units, joint: Joint, layer: nn.Module, inputs: object, values: Tensor
) -> Tensor | None:
    axis = -1 if isinstance(layer, nn.Linear) else 1
    found = see(units, joint, values.movedim(axis, -1))
    return None if found is None else found.movedim(-1, axis)


def count_wins(model: nn.Module, groups: Sequence[Units], data: Data) -> None:
    """Count who wins, over all images and places."""
    with hooked(model, groups, Units.count), torch.no_grad(), one_thread():
        for images, _ in batches(data):
            model(images)
