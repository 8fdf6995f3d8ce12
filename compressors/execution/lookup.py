"""Layers by tables: products of inputs and codebook rows once, then looked up and added.

Wu et al., "Quantized Convolutional Neural Networks for Mobile Devices", CVPR 2016, Sec. 3.1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from compressors.codes.product import Product


@dataclass(frozen=True)
class Work:
    """Operations of a layer: multiplications that fill the tables, and look-ups that are added."""

    multiplications: int
    lookups: int


def work(code: Product, *, inputs: int, outputs: int) -> Work:
    """For so many places of the ifmap, each with all channels, and of the ofmap.

    Every input place takes k C multiplications, every output place K M times the window's places.
    """
    table = len(code.table) * code.shape[1]
    return Work(multiplications=inputs * table, lookups=outputs * code.indices.numel())


def looked_up(code: Product, patches: Tensor) -> Tensor:
    """Responses [outputs, K] of patches [outputs, C x places], C before places, float64."""
    table = code.table.double()
    indices = code.indices.reshape(*code.indices.shape[:2], -1)
    runs = patches.double().reshape(len(patches), code.shape[1], -1).mT
    total = torch.zeros(len(patches), code.shape[0]).double()
    for run in range(indices.shape[1]):
        own = slice(run * code.length, (run + 1) * code.length)
        book = table[:, own] if table.shape[1] == code.shape[1] else table
        seen = runs[:, :, own]
        products = seen @ book[:, : seen.shape[2]].T
        for place in range(indices.shape[2]):
            total += products[:, place, indices[:, run, place]]
    return total
