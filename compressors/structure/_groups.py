"""Which channels go together, and where: solved once for any network that torch.fx can trace."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from compressors.structure._flow import Flow, Place, Side, follow


@dataclass(frozen=True, eq=False)
class Member:
    """A side of a module: its filters (out), what they add up (in) or read one by one (depth), the
    channels of a normalisation (each) or of what a padding yields (pad).

    `atoms`, int64 [width of that side], says which atom each of its channels is of, -1 for one of
    another group.
    """

    path: str
    side: Side
    atoms: Tensor


@dataclass(frozen=True, eq=False)
class Group:
    """`size` atoms: sets of channels, in one or more modules, that only go together.

    `fixed` says why none can, if none can: the network's output keeps its width.
    """

    size: int
    members: tuple[Member, ...]
    fixed: str | None = None

    def on(self, side: Side) -> tuple[Member, ...]:
        """The members of one kind."""
        return tuple(member for member in self.members if member.side == side)

    @property
    def producers(self) -> tuple[str, ...]:
        """Paths of the layers whose filters these are, in the order of execution."""
        return tuple(member.path for member in self.on("out"))

    @property
    def readers(self) -> tuple[Member, ...]:
        """The layers that add these channels up."""
        return self.on("in")

    @cached_property
    def strata(self) -> tuple[Tensor, ...]:
        """The atoms by the layers that have them: each set should keep some."""
        kinds: dict[tuple[bool, ...], list[int]] = {}
        for atom in range(self.size):
            has = tuple(bool((member.atoms == atom).any()) for member in self.on("out"))
            kinds.setdefault(has, []).append(atom)
        return tuple(torch.tensor(atoms) for atoms in kinds.values())


def channel_groups(model: nn.Module) -> list[Group]:
    """All groups of `model`, in the order of execution of their first layers.

    Every channel that a convolution or linear layer yields is in one. Additions and element-wise
    products tie channels one to one, concatenations put groups side by side, depthwise
    convolutions and normalisations join those that they read, other grouped convolutions tie
    channels at the same place of each group; channels that reach the network's output, or an
    operator that is not known to treat each alike, are fixed, with its name. Raises InputError
    where torch.fx cannot trace the network.
    """
    flow = follow(model)
    return [_group(flow, roots) for roots in _components(flow)]


def _components(flow: Flow) -> Iterator[list[int]]:
    """Atoms that share a layer's filters, or a padding, together; each by its root."""
    joined: dict[int, list[int]] = {}
    for (_, side), channels in flow.places.items():
        if side not in ("out", "pad"):
            continue
        roots = list(dict.fromkeys(flow.atoms.root(channel) for channel in channels))
        found = {id(joined[root]): joined[root] for root in roots if root in joined}
        whole = list(dict.fromkeys([*(root for part in found.values() for root in part), *roots]))
        joined.update(dict.fromkeys(whole, whole))
    return iter({id(part): part for part in joined.values()}.values())


def _group(flow: Flow, roots: Sequence[int]) -> Group:
    numbers = {root: number for number, root in enumerate(sorted(roots))}
    members = []
    for place, channels in flow.places.items():
        atoms = [numbers.get(flow.atoms.root(channel), -1) for channel in channels]
        if any(atom >= 0 for atom in atoms):
            members.append(_member(place, atoms))
    reasons = flow.atoms.fixed()
    fixed = next((reasons[root] for root in numbers if root in reasons), None)
    return Group(len(roots), tuple(members), fixed)


def _member(place: Place, atoms: list[int]) -> Member:
    path, side = place
    return Member(path, side, torch.tensor(atoms))
