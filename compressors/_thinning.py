"""Which weights of a filter stay, and what makes up for the others.

Yang, Chen and Sze, CVPR 2017, arXiv:1611.05128, Sec. 4.2 to 4.4.
"""

from functools import cached_property

import torch
from torch import Tensor

from compressors._ridge import best_step, solved


def largest(values: Tensor, count: int | Tensor) -> Tensor:
    """Where, bool of its shape, the `count` largest of each row are; one count, or one a row."""
    counts = torch.as_tensor(count).reshape(-1, 1)
    order = torch.argsort(values, dim=1, descending=True, stable=True)
    taken = (torch.arange(values.shape[1]) < counts).expand(values.shape)
    return torch.zeros(values.shape, dtype=torch.bool).scatter_(1, order, taken)


def restore_(
    stays: Tensor, may: Tensor, row: Tensor, samples: "Samples", wanted: Tensor, *, count: int
) -> None:
    """Add to `stays` the weights of a filter that, each alone, lower the absolute error most."""
    candidates = (may & ~stays).nonzero().flatten()
    error = wanted - samples.inputs @ (row * stays)
    parts = samples.columns[candidates].mul_(row[candidates, None]).sub_(error).abs_()
    gains = error.abs().sum() - parts.sum(1)
    stays[candidates[torch.argsort(gains, descending=True, stable=True)[:count]]] = True


class Samples:
    """What a layer's filters were laid on, [n, D]; its columns side by side in memory, and their
    products, are made once."""

    def __init__(self, inputs: Tensor) -> None:
        self.inputs = inputs

    @cached_property
    def columns(self) -> Tensor:
        """[D, n]."""
        return self.inputs.T.contiguous()

    @cached_property
    def products(self) -> Tensor:
        """[D, D]."""
        return self.inputs.T @ self.inputs


def fitted(row: Tensor, stays: Tensor, samples: Samples, wanted: Tensor) -> Tensor:
    """A filter of least squared error with the weights that stay, never of more than `row` has.

    A ridge around `row` keeps what the samples do not tell, or hardly, as it was.
    """
    kept = stays.nonzero().flatten()
    if not len(kept):
        return row
    error = wanted - samples.inputs @ row
    if len(kept) <= len(error):
        products = samples.products[kept[:, None], kept]
        step = solved(products, (samples.columns @ error)[kept], columns=len(kept))
    else:
        step = best_step(samples.inputs[:, kept], error)
    found = row.clone()
    found[kept] += step
    return found
