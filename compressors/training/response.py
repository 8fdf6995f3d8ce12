"""Product codes that keep what a layer answers, by exact steps on one block at a time.

Wu, Leng, Wang, Hu and Cheng, "Quantized Convolutional Neural Networks for Mobile Devices", CVPR
2016, Sec. 3.3: minimise sum_n |O_n - sum_m (D_m B_m)^T S_n,m|^2 over indices B and codebooks D. The
sum over inputs is a quadratic form in the weights, so that its matrix is all that inputs leave.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from compressors.codes.product import Product, read

RIDGE = 1e-8  # of the mean diagonal: a codebook row that nothing tells stays where it was
BATCH = 32


@dataclass(frozen=True, eq=False)
class Response:
    """Of a layer's patches X and wanted responses O, for each group: X^T X [groups, n, n],
    X^T O [groups, n, filters] and |O|^2, float64; n is C times the places of the window.
    """

    gram: Tensor
    cross: Tensor
    energy: float

    def error(self, weight: Tensor) -> float:
        """|O - X w|^2 for a weight [K, C, ...]."""
        w = self.grouped(weight)
        fitted = (w * (self.gram @ w)).sum() - 2 * (w * self.cross).sum()
        return float(fitted) + self.energy

    def grouped(self, weight: Tensor) -> Tensor:
        """A weight as [groups, n, filters of a group], float64."""
        return weight.double().reshape(len(self.gram), -1, self.gram.shape[1]).mT


def response(layer: nn.Module, ifmaps: Tensor, ofmaps: Tensor) -> Response:
    """What a layer, given these ifmaps, must do to give these ofmaps, without its bias."""
    gram, cross, energy = torch.zeros(1).double(), torch.zeros(1).double(), 0.0
    bias = layer.get_parameter("bias").detach() if layer.bias is not None else None
    for ifmap, ofmap in zip(torch.split(ifmaps, BATCH), torch.split(ofmaps, BATCH), strict=True):
        x = patches(layer, ifmap)
        flat = answers(layer, ofmap)
        flat = flat if bias is None else flat - bias[:, None]
        o = flat.double().movedim(1, 0).reshape(len(x), -1, x.shape[1]).mT
        gram, cross = gram + x.mT @ x, cross + x.mT @ o
        energy += float(o.square().sum())
    return Response(gram, cross, energy)


def answers(layer: nn.Module, ofmap: Tensor) -> Tensor:
    """An ofmap as [images, filters, places]; a linear layer has its filters on the last axis."""
    if isinstance(layer, nn.Linear):
        return ofmap.reshape(-1, ofmap.shape[-1])[:, :, None]
    return ofmap.flatten(2)


def patches(layer: nn.Module, ifmap: Tensor) -> Tensor:
    """What each output sees of an ifmap: [groups, outputs, n], float64."""
    if isinstance(layer, nn.Linear):
        return ifmap.double().reshape(1, -1, ifmap.shape[-1])
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = functional.pad(ifmap.double(), layer._reversed_padding_repeated_twice, mode=mode)
    line = padded.ndim == 3
    kernel, dilation, stride = (
        (1, *sizes) if line else sizes
        for sizes in (layer.kernel_size, layer.dilation, layer.stride)
    )
    columns = functional.unfold(
        padded[:, :, None] if line else padded, kernel, dilation=dilation, stride=stride
    )
    return (
        columns.reshape(len(ifmap), layer.groups, -1, columns.shape[2])
        .permute(1, 0, 3, 2)
        .flatten(1, 2)
    )


def corrected(code: Product, wanted: Response, *, rounds: int) -> Product:
    """A code whose responses are nearer; every step finds the best of what it moves."""
    table, indices = code.table.double(), code.indices.reshape(*code.indices.shape[:2], -1).clone()
    weight = wanted.grouped(code.decode())
    for _ in range(rounds):
        for run in range(indices.shape[1]):
            _choose(table, indices, weight, wanted, run=run, length=code.length)
            _solve(table, indices, weight, wanted, run=run, length=code.length)
    return Product(
        indices.reshape(code.indices.shape),
        table,
        channels=code.shape[1],
        length=code.length,
        by_tables=code.by_tables,
    )


def _rows(wanted: Response, places: int, run: int, length: int) -> Tensor:
    """Which of the n elements belong to a run: [places, channels of the run]."""
    elements = torch.arange(wanted.gram.shape[1]).reshape(-1, places)
    return elements[run * length : (run + 1) * length].T


def _choose(
    table: Tensor, indices: Tensor, weight: Tensor, wanted: Response, *, run: int, length: int
) -> None:
    """The best codebook row for every filter, at one place of the window after the other."""
    book = table[:, run * length : (run + 1) * length]
    groups = len(wanted.gram)
    for place, rows in enumerate(_rows(wanted, indices.shape[2], run, length)):
        own = wanted.gram[:, rows][:, :, rows]
        missing = wanted.cross[:, rows] - wanted.gram[:, rows] @ weight + own @ weight[:, rows]
        costs = ((book @ own) * book).sum(2)[:, :, None] - 2 * book @ missing
        best = costs.argmin(1)
        indices[:, run, place] = best.reshape(-1)
        weight[:, rows] = book[best].mT.reshape(groups, len(rows), -1)


def _solve(
    table: Tensor, indices: Tensor, weight: Tensor, wanted: Response, *, run: int, length: int
) -> None:
    """The best codebook for a run, by least squares, its indices fixed."""
    places = _rows(wanted, indices.shape[2], run, length)
    rows, size = places.flatten(), places.shape[1]
    count = len(table)
    own = wanted.gram[:, rows][:, :, rows]
    missing = wanted.cross[:, rows] - wanted.gram[:, rows] @ weight + own @ weight[:, rows]
    chosen = functional.one_hot(indices[:, run], count).double()
    normal = torch.zeros(count, size, count, size).double()
    sums = torch.zeros(count, size).double()
    parts = chosen.reshape(len(own), -1, len(places), count)
    for group, one in enumerate(parts):
        shared = torch.einsum("jpk,jql->pqkl", one, one)
        blocks = own[group].reshape(len(places), size, len(places), size)
        normal += torch.einsum("pqkl,paqb->kalb", shared, blocks)
        sums += torch.einsum("jpk,paj->ka", one, missing[group].reshape(len(places), size, -1))
    columns = slice(run * length, run * length + size)
    flat = normal.reshape(count * size, -1)
    ridge = RIDGE * flat.diagonal().mean().clamp(min=1e-300)
    flat.diagonal().add_(ridge)
    right = sums + ridge * table[:, columns]
    table[:, columns] = torch.linalg.solve(flat, right.flatten()).reshape(count, size)
    found = read(table[:, columns], indices[:, run : run + 1], channels=size, length=size)
    weight[:, rows] = found.movedim(2, 1).reshape(len(own), -1, len(rows)).mT
