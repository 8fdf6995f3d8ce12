"""A mixture of Gaussians as a prior of weights, which trains with them.

Ullrich, Meeds and Welling, "Soft Weight-Sharing for Neural Network Compression", ICLR 2017,
arXiv:1702.04008, eqs. 4 to 6, after Nowlan and Hinton, 1992. The first component lies at zero with
a fixed share; the others learn their means, spreads and shares.
"""

from collections.abc import Iterable
from math import log, pi

import torch
from torch import Tensor, nn


class Mixture(nn.Module):
    """Of `components` besides zero's, means spread evenly over the range of `values` [n].

    Everything is in units of `scale`, the largest magnitude, so that one learning rate suits all
    layers; spreads begin at a quarter of the distance between means.
    """

    scale: Tensor
    zero_share: Tensor

    def __init__(self, values: Tensor, *, components: int, zero_share: float) -> None:
        super().__init__()
        scale = values.abs().max().clamp(min=1e-12)
        means = torch.linspace(float(values.min()), float(values.max()), components) / scale
        spread = torch.tensor(0.5 / max(1, components - 1))
        self.means = nn.Parameter(means)
        self.log_spreads = nn.Parameter(spread.log().repeat(components + 1))
        self.logits = nn.Parameter(torch.zeros(components))
        self.register_buffer("scale", scale)
        self.register_buffer("zero_share", torch.tensor(zero_share))

    @property
    def centres(self) -> Tensor:
        """The means [components + 1], zero first, in the units of weights."""
        return torch.cat([self.means.new_zeros(1), self.means]) * self.scale

    def log_joint(self, values: Tensor) -> Tensor:
        """log pi_j N(w | mu_j, sigma_j) of values [n]: [n, components + 1]."""
        shares = torch.cat(
            [self.zero_share.log()[None], self.logits.log_softmax(0) + (1 - self.zero_share).log()]
        )
        spreads = self.log_spreads.exp() * self.scale
        far = (values[:, None] - self.centres) / spreads
        return shares - far.square() / 2 - spreads.log() - log(2 * pi) / 2

    def responsibilities(self, values: Tensor) -> Tensor:
        """p(j | w) of values [n]: [n, components + 1]; rows sum to 1."""
        return self.log_joint(values).softmax(1)

    def forward(self, values: Tensor) -> Tensor:
        """- log p of all values, whatever their shape."""
        return -self.log_joint(values.flatten()).logsumexp(1).sum()

    def hyper_prior(self) -> Tensor:
        """- log of Gamma priors on the precisions, in the units of `scale`, but for constants.

        It keeps spreads from vanishing (Sec. 3.3 of the paper), with the shapes and rates of the
        authors' code: 5000 and 2 at zero, 250 and 0.1 elsewhere, that is spreads about 0.02. A
        weaker one at zero lets the spread of many weights there fall until descent diverges.
        """
        precisions = (-2 * self.log_spreads).exp()
        shapes = torch.full_like(precisions, 250.0).index_fill(0, torch.tensor(0), 5000.0)
        return (shapes * 0.02**2 * precisions - (shapes - 1) * precisions.log()).sum()


class Beside(nn.Module):
    """A network, and modules that train with it but do not compute."""

    def __init__(self, network: nn.Module, others: Iterable[nn.Module]) -> None:
        super().__init__()
        self.network, self.others = network, nn.ModuleList(others)

    def forward(self, images: Tensor) -> Tensor:
        """The network's."""
        logits: Tensor = self.network(images)
        return logits


def merged(centres: Tensor, found: Tensor, gap: float) -> tuple[Tensor, Tensor]:
    """Entries of a codebook, 0 first, and each weight's entry, once centres closer than `gap` are
    one: their mean by how many weights are there, or zero where zero's is among them.

    `found` int64 holds the centre of each weight. Entries that no weight has are left out.
    """
    order = centres.argsort()
    group = torch.zeros_like(order)
    group[order] = torch.cat([order.new_zeros(1), (centres[order].diff() >= gap).cumsum(0)])
    counts = torch.bincount(found.flatten(), minlength=len(centres)).double()
    mass = torch.zeros(len(centres), dtype=torch.float64).index_add_(0, group, counts)
    sums = torch.zeros_like(mass).index_add_(0, group, counts * centres.double())
    means = (sums / mass.clamp(min=1)).float()
    means[group[0]] = 0.0
    kept = [int(group[0])] + [int(g) for g in mass.nonzero().flatten() if g != group[0]]
    place = torch.zeros_like(group)
    place[kept] = torch.arange(len(kept))
    return means[kept], place[group[found]]
