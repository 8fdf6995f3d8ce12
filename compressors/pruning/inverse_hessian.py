"""Deletion of weights that moves all others to make up for it.

Hassibi and Stork, "Second Order Derivatives for Network Pruning: Optimal Brain Surgeon", NIPS 1992.
Blocks of weights, [blocks, n], are taken not to interact: the whole layer is one, or each filter.
"""

import torch
from torch import Tensor

ROWS_AT_ONCE = 64


def inverse_hessian(
    rows: Tensor, *, count: int, alpha: float, at_once: int = ROWS_AT_ONCE
) -> Tensor:
    """The inverse of alpha I + sum X X^T / count over `rows` X, [blocks, rows, n], float64.

    The recursion of eq. 13, for `at_once` rows at a time by Woodbury's identity; for one:
    H^-1 <- H^-1 - H^-1 X X^T H^-1 / (count + X^T H^-1 X).
    """
    blocks, _, n = rows.shape
    inverse = torch.eye(n, dtype=torch.float64).repeat(blocks, 1, 1) / alpha
    for part in torch.split(rows.double(), at_once, dim=1):
        moved = inverse @ part.mT
        inner = count * torch.eye(part.shape[1], dtype=torch.float64) + part @ moved
        inverse = inverse - moved @ torch.linalg.solve(inner, moved.mT)
    return (inverse + inverse.mT) / 2


def delete(weights: Tensor, inverse: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`counts` [blocks] weights less in each block, the one of least saliency after the other.

    Weight q costs w_q^2 / (2 [H^-1]_qq) and moves the others by -w_q / [H^-1]_qq H^-1 e_q (eq. 5);
    then q leaves H. Returns the weights, which are left, both [blocks, n], and the cost of
    each deletion in turn, [blocks, most], 0 where a block has ended.
    """
    weights, inverse = weights.double().clone(), inverse.clone()
    alive, block = torch.ones_like(weights, dtype=torch.bool), torch.arange(len(weights))
    costs = weights.new_zeros(len(weights), int(counts.max()))
    for done in range(costs.shape[1]):
        saliency = weights.square() / (2 * inverse.diagonal(dim1=1, dim2=2))
        least, q = saliency.masked_fill(~alive, torch.inf).min(1)
        active = (done < counts).double()
        costs[:, done] = least * active
        row = inverse[block, q]
        scaled = row * (active / row[block, q])[:, None]
        weights -= weights[block, q, None] * scaled
        inverse.baddbmm_(row[:, :, None], scaled[:, None, :], alpha=-1)
        alive[block, q] &= active == 0
        weights *= alive
    return weights, alive, costs
