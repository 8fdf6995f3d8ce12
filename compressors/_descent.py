"""Prune and retrain, again and again, until accuracy would fall below a floor.

The outer loop of Yang, Chen and Sze, CVPR 2017, arXiv:1611.05128, Sec. 4, and of most pruning that
retrains: what counts is the last network above the floor.
"""

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from compressors._layers import weight_of
from compressors._trail import Trail
from compressors.weights.masked import mask_
from hwsim.progress import Progress, quiet

NOWHERE = Trail()


def descend(
    model: nn.Module,
    layers: Sequence[str],
    prune: Callable[[nn.Module, float], nn.Module],
    score: Callable[[nn.Module], float],
    *,
    floor: float,
    keep: float,
    rounds: int,
    gentler: int = 0,
    trail: Trail = NOWHERE,
    progress: Progress = quiet,
) -> nn.Module:
    """The last network whose score is `floor` or more, or `model` where already the first is below.

    `prune(network, share)` owns its network and masks weights of `layers` so that such a share of
    what they have stays. Each round starts from the last network above the floor. Where one falls
    below, the share becomes its square root and the round is tried again, `gentler` times in all.
    What `trail` has of a round is not done again.
    """
    best, share, falls = model, keep, 0
    for turn in range(rounds):
        progress("pruning in rounds", turn, rounds)
        known = trail.recall(f"round_{turn:03}")
        if known:
            found, value = masked(model, layers, known[1]), float(known[0]["score"])
        else:
            found = prune(copy.deepcopy(best), share)
            value = score(found)
            trail.keep(f"round_{turn:03}", {"score": value, "share": share}, found.state_dict())
        if value >= floor:
            best = found
        elif falls == gentler:
            break
        else:
            share, falls = share**0.5, falls + 1
    return best


def masked(model: nn.Module, layers: Sequence[str], state: Mapping[str, Tensor]) -> nn.Module:
    """A copy of `model` with this state, and masks on those of the layers that have one there."""
    found = copy.deepcopy(model)
    owners = {key.partition(".parametrizations.weight.")[0] for key in state if ".mask" in key}
    for path in (path for path in layers if path in owners):
        layer = found.get_submodule(path)
        mask_(layer, torch.ones_like(weight_of(layer), dtype=torch.bool))
    found.load_state_dict(state)
    return found
