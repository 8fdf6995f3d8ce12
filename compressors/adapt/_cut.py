"""The fewest filters of each group that bring a network's cost below a limit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compressors._layers import weight_of
from compressors.adapt._sizes import Sizes, counts_of, kinds
from compressors.structure._groups import Group
from compressors.structure._remove import remove_
from compressors.structure._select import atom_scores, keep_best
from hwsim.workload import Network


@dataclass(frozen=True, eq=False)
class Cut:
    """So many filters of a group stay."""

    group: Group
    filters: int

    @property
    def name(self) -> str:
        """The group's, by the layer that makes its filters first."""
        return self.group.producers[0]

    @property
    def share(self) -> float:
        """Of the group's filters, as many of each kind."""
        return self.filters / self.group.size


def cuts(
    groups: Sequence[Group],
    sizes: Sizes,
    price: Callable[[Network], float],
    *,
    limit: float,
    multiple: int,
) -> Iterator[Cut]:
    """For each group that can reach `limit` alone, the cut that leaves most filters.

    A price is taken not to rise while filters go. Filters that stay are a multiple of `multiple`.
    """
    counts = counts_of(groups)
    for group in groups:

        def priced(filters: int, group: Group = group) -> float:
            cut = Cut(group, filters)
            left = {kind: max(1, round(cut.share * len(of))) for kind, of in kinds(group).items()}
            return price(sizes.network(counts | left))

        found = most(steps(group, multiple), priced, limit)
        if found is not None:
            yield Cut(group, found)


def steps(group: Group, multiple: int) -> list[int]:
    """The counts of filters below all that a group may keep, rising."""
    least = max(len(group.strata), multiple)
    return [filters for filters in range(least, group.size) if filters % multiple == 0]


def most(counts: Sequence[int], price: Callable[[int], float], limit: float) -> int | None:
    """The largest of rising counts whose price, which rises with them, is within the limit.

    Looks close to the top first, as cuts are small; each price is asked for once.
    """
    low, high, stride = -1, len(counts), 1
    while high - low > 1:
        middle = max(0, high - stride) if low < 0 else (low + high) // 2
        if price(counts[middle]) <= limit:
            low = middle
        else:
            high, stride = middle, 2 * stride
    return counts[low] if low >= 0 else None


def cut_(model: nn.Module, cut: Cut) -> None:
    """Remove all but so many filters of a group of `model`, in place: those of least l2 norm."""
    norms = {path: _norms(model.get_submodule(path)) for path in cut.group.producers}
    scores = atom_scores(cut.group, norms)
    remove_(model, {cut.group: keep_best(cut.group, scores, share=cut.share)})


def _norms(layer: nn.Module) -> Tensor:
    """The l2 norm of each filter, [K]."""
    weight = weight_of(layer).detach()
    norms: Tensor = torch.linalg.vector_norm(weight.flatten(1), dim=1)
    return norms
