"""Which weights of a filter stay, and what makes up for the others.

Yang, Chen and Sze, CVPR 2017, arXiv:1611.05128, Sec. 4.2 to 4.4.
"""

import torch
from torch import Tensor

RIDGE, TINY = 1e-6, 1e-30  # the ridge is relative to the inputs' mean sum of squares


def largest(values: Tensor, count: int | Tensor) -> Tensor:
    """Where, bool of its shape, the `count` largest of each row are; one count, or one a row."""
    counts = torch.as_tensor(count).reshape(-1, 1)
    order = torch.argsort(values, dim=1, descending=True, stable=True)
    taken = (torch.arange(values.shape[1]) < counts).expand(values.shape)
    return torch.zeros(values.shape, dtype=torch.bool).scatter_(1, order, taken)


def restore_(
    stays: Tensor, may: Tensor, row: Tensor, inputs: Tensor, wanted: Tensor, *, count: int
) -> None:
    """Add to `stays` the weights of a filter that, each alone, lower the absolute error most."""
    candidates = (may & ~stays).nonzero().flatten()
    error = wanted - inputs @ (row * stays)
    parts = inputs[:, candidates] * row[candidates]
    gains = error.abs().sum() - (error[:, None] - parts).abs().sum(0)
    stays[candidates[torch.argsort(gains, descending=True, stable=True)[:count]]] = True


def fitted(row: Tensor, stays: Tensor, inputs: Tensor, wanted: Tensor) -> Tensor:
    """A filter of least squared error with the weights that stay, never of more than `row` has.

    A slight ridge around `row` keeps what the samples do not tell as it was.
    """
    some = inputs[:, stays]
    if not some.numel():
        return row
    error = wanted - inputs @ row
    ridge = RIDGE * some.square().sum(0).mean() + TINY
    if some.shape[1] <= len(some):
        products = some.T @ some + ridge * torch.eye(some.shape[1], dtype=some.dtype)
        step = torch.linalg.solve(products, some.T @ error)
    else:
        products = some @ some.T + ridge * torch.eye(len(some), dtype=some.dtype)
        step = some.T @ torch.linalg.solve(products, error)
    found = row.clone()
    found[stays] += step
    return found
