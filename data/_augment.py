"""Random shifts and mirror images, which make more of few training images."""

import torch
from torch import Tensor
from torch.nn import functional

SHIFT = 2  # pixels either way


def augment(images: Tensor, generator: torch.Generator, *, border: float | None = None) -> Tensor:
    """Shift each of N x C x H x W images by up to SHIFT pixels and mirror half of them.

    The shape is kept; what a shift uncovers has the value `border`, or else repeats the rim.
    """
    count, _, height, width = images.shape
    mode = "replicate" if border is None else "constant"
    padded = functional.pad(images, (SHIFT,) * 4, mode=mode, value=border)
    top, left = torch.randint(2 * SHIFT + 1, (2, count, 1), generator=generator)
    rows, columns = torch.arange(height) + top, torch.arange(width) + left
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    each = torch.arange(count)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
