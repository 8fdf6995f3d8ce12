"""Which groups a plan gives up, and which of their channels stay."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from compressors._data import Data, Needs, check_data
from compressors._fit import Fit, fit, settle_batch_norms
from compressors._probe import unfolds
from compressors.structure._groups import Group, channel_groups
from hwsim.errors import InputError


def groups_of(model: nn.Module, layers: Sequence[str], *, method: str) -> list[Group]:
    """The groups of the filters of `layers`, in the order of execution.

    Raises InputError naming a layer whose filters cannot go: none of them, not without those of
    another layer that is not in `layers`, or, tied by its groups, only all at once. A layer of one
    filter keeps it.
    """
    groups = remaining_groups(model, layers, method=method)
    for group in groups:
        if all(len(atoms) == 1 for atoms in group.strata) and _many_filters(group):
            raise InputError(
                f"layer {group.producers[0]!r}: {method}: its channels only go all together: "
                f"give it [] in the plan"
            )
    return groups


def _many_filters(group: Group) -> bool:
    return any(len(member.atoms) > len(set(member.atoms.tolist())) for member in group.on("out"))


def remaining_groups(model: nn.Module, layers: Sequence[str], *, method: str) -> list[Group]:
    """`groups_of` a network that may have lost channels already, and have one left of some."""
    wanted = set(layers)
    groups = [group for group in channel_groups(model) if wanted & set(group.producers)]
    for group in groups:
        layer = next(path for path in group.producers if path in wanted)
        if group.fixed:
            raise InputError(
                f"layer {layer!r}: {method}: its channels {group.fixed}: give it [] in the plan"
            )
        for other in group.producers:
            if other not in wanted:
                raise InputError(
                    f"layer {layer!r}: {method}: its channels go with those of {other!r}: "
                    f"give both the same steps, or it []"
                )
    for path in sorted(wanted - {path for group in groups for path in group.producers}):
        raise InputError(f"layer {path!r}: {method}: the network does not call it")
    return groups


def one_by_one(model: nn.Module, layers: Sequence[str], *, method: str) -> Iterator[Group]:
    """The groups of `groups_of`, each of the network as it is once those before are smaller."""
    groups_of(model, layers, method=method)
    left = list(layers)
    while left:
        group = remaining_groups(model, left, method=method)[0]
        yield group
        left = [path for path in left if path not in group.producers]


def unfolding_readers(model: nn.Module, group: Group, *, method: str) -> list[str]:
    """The layers that read a group's channels, as `read_columns` takes them.

    Raises InputError naming the first of the group's layers where one reads in another way.
    """
    paths = [member.path for member in group.readers]
    for path in paths:
        if not unfolds(model.get_submodule(path)):
            raise InputError(
                f"layer {group.producers[0]!r}: {method}: its channels are read by {path!r}, which "
                f"is grouped, or padded in a way that is not understood: give it [] in the plan"
            )
    return paths


def atom_scores(group: Group, scores: Mapping[str, Tensor]) -> Tensor:
    """The mean score, [size], of all filters of each atom, from scores [K] of each layer."""
    total, count = torch.zeros(group.size, dtype=torch.float64), torch.zeros(group.size)
    for member in group.on("out"):
        own = member.atoms >= 0
        total.index_add_(0, member.atoms[own], scores[member.path][own].double())
        count.index_add_(0, member.atoms[own], torch.ones(int(own.sum())))
    return total / count


def keep_best(group: Group, scores: Tensor, *, share: float) -> Tensor:
    """Where, bool [size], the channels of highest score are: of each stratum a share, or one."""
    chosen = torch.zeros(group.size, dtype=torch.bool)
    for atoms in group.strata:
        count = max(1, round(share * len(atoms)))
        order = torch.argsort(scores[atoms], descending=True, stable=True)
        chosen[atoms[order[:count]]] = True
    return chosen


def keep_most(scores: Mapping[Group, Tensor], *, share: float) -> dict[Group, Tensor]:
    """Where the channels of highest score among all groups are: a share of the whole.

    Every stratum keeps its best channel at least.
    """
    groups = list(scores)
    best = [keep_best(group, scores[group], share=0.0) for group in groups]
    spared = torch.cat(best)
    ranked = torch.where(spared, torch.inf, torch.cat([scores[group] for group in groups]))
    count = max(int(spared.sum()), round(share * len(ranked)))
    chosen = torch.zeros_like(spared)
    chosen[torch.argsort(ranked, descending=True, stable=True)[:count]] = True
    parts = torch.split(chosen, [group.size for group in groups])
    return dict(zip(groups, parts, strict=True))


def check_fit(settings: Fit | None, data: Data | None, *, method: str) -> None:
    """Raises InputError where there is to be fine-tuning, but no labels."""
    if settings:
        check_data(method, Needs.LABELS, data)


def fine_tuned(model: nn.Module, settings: Fit | None, data: Data | None) -> nn.Module:
    """The network itself, trained as `settings` say, if they do."""
    if settings:
        assert data is not None
        assert data.labels is not None
        fit(model, data.images, data.labels, settings)
    return model


def mended(model: nn.Module, settings: Fit | None, data: Data | None) -> nn.Module:
    """The network itself after a cut: trained as `settings` say, or, where nothing is to be
    trained, with its batch normalisations measured anew on what images there are.

    Means and variances of maps move with every channel that goes. Those of a network that was cut
    and not trained are no longer its own (Li, Wu, Su and Wang, "EagleEye", ECCV 2020,
    arXiv:2007.02491, Sec. 3.3: adaptive batch normalisation).
    """
    if settings is None and data is not None and len(data.images) > 1:
        settle_batch_norms(model, data.images, batch=Fit().batch)
    return fine_tuned(model, settings, data)
