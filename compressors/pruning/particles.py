"""A population of masks that errors thin out and chance renews.

Anwar, Hwang and Sung, "Structured Pruning of Deep Convolutional Neural Networks", ACM JETC 13(3),
2017, arXiv:1512.08571, Sec. 4: particles are masks, weighted by the errors that they make.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Mask = list[Tensor]  # truth values [groups] of each layer
Errors = Callable[[Mask], float]


def importance(errors: Tensor, temperature: float) -> Tensor:
    """Weights [n], which sum to 1, in proportion to exp(-errors / temperature)."""
    return torch.softmax(-errors.double() / temperature, 0)


def effective_size(weights: Tensor) -> float:
    """How many equal particles carry as much: 1 / sum of squares."""
    return 1 / float(weights.square().sum())


def resampled(weights: Tensor, draw: torch.Generator) -> Tensor:
    """Indices [n] drawn systematically: each n * weight times, rounded either way at random."""
    count = len(weights)
    points = (torch.arange(count) + torch.rand((), generator=draw, dtype=torch.float64)) / count
    return torch.searchsorted(weights.cumsum(0), points).clamp(max=count - 1)


def mutated(mask: Mask, share: float, draw: torch.Generator) -> Mask:
    """As many groups in each layer, of which `share` of the removed ones, at least one, changed."""
    return [_swapped(stays, share, draw) for stays in mask]


def _swapped(stays: Tensor, share: float, draw: torch.Generator) -> Tensor:
    kept, gone = stays.nonzero().flatten(), (~stays).nonzero().flatten()
    count = min(len(kept), len(gone), max(1, round(share * len(gone))))
    found = stays.clone()
    found[kept[torch.randperm(len(kept), generator=draw)[:count]]] = False
    found[gone[torch.randperm(len(gone), generator=draw)[:count]]] = True
    return found


def search(
    start: list[Mask],
    errors: Errors,
    *,
    generations: int,
    temperature: float,
    mutation: float,
    draw: torch.Generator,
) -> tuple[Mask, list[float]]:
    """The mask of least errors ever seen, and its errors after each generation.

    Each generation weighs the particles, resamples where fewer than half count, and changes each,
    but for the best so far, which takes the place of the worst.
    """
    particles = start
    found = torch.tensor([errors(one) for one in particles], dtype=torch.float64)
    best, history = particles[int(found.argmin())], [float(found.min())]
    for _ in range(generations):
        weights = importance(found, temperature)
        if effective_size(weights) < len(particles) / 2:
            particles = [particles[int(i)] for i in resampled(weights, draw)]
        particles = [mutated(one, mutation, draw) for one in particles]
        found = torch.tensor([errors(one) for one in particles], dtype=torch.float64)
        if found.min() < history[-1]:
            best = particles[int(found.argmin())]
        history.append(min(history[-1], float(found.min())))
        worst = int(found.argmax())
        particles[worst], found[worst] = best, history[-1]
    return best, history
