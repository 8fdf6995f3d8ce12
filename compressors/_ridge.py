"""Least squares with a ridge: how far weights move to make up for others.

What samples do not tell, or hardly, stays as it was.
"""

import torch
from torch import Tensor

# The ridge is relative to the inputs' mean sum of squares. Where there are about as many samples as
# weights, a smaller one fits their noise: of LeNet-5's fc1, 240 weights a filter on 256 images, the
# squared error on others is 1.1 % with this one and 8.8 % with 1e-6.
RIDGE, TINY = 1e-2, 1e-30


def best_step(inputs: Tensor, error: Tensor) -> Tensor:
    """The step, [D] or [D, K], whose sums on `inputs` [n, D] come closest to `error` [n] or [n, K].

    By way of the smaller of the two products of the inputs.
    """
    samples, columns = inputs.shape
    if columns <= samples:
        return solved(inputs.T @ inputs, inputs.T @ error, columns=columns)
    return inputs.T @ solved(inputs @ inputs.T, error, columns=columns)


def solved(products: Tensor, sums: Tensor, *, columns: int) -> Tensor:
    """What `products`, of so many columns and with a ridge, turns into `sums`."""
    ridge = RIDGE * products.trace() / columns + TINY
    eye = torch.eye(len(products), dtype=products.dtype)
    found: Tensor = torch.linalg.solve(products + ridge * eye, sums)
    return found
