"""Top-1 accuracy of a network on labelled images, and which of them it tells right."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import prod

import torch
from torch import Tensor, cat, nn, split

from hwsim.progress import Progress, quiet

# A batch that stays in cache, and workers that stay in memory.
WORDS_AT_ONCE, MOST_WORKERS = 2**16, 8


@contextmanager
def one_thread() -> Iterator[int]:
    """Each operator of PyTorch on one thread for a while; yields how many threads it had.

    Sums are then the same on any number of cores, and no thread spins while others work.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def top1(
    module: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    stage: str = "",
    progress: Progress = quiet,
) -> float:
    """The share in 0..1 of `images` (N x ...) whose largest logit is that of their label (N)."""
    hits = told_right(module, images, labels, stage=stage, progress=progress)
    return int(hits.sum()) / len(labels)


def told_right(
    module: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    stage: str = "",
    progress: Progress = quiet,
) -> Tensor:
    """For each of `images` (N x ...) whether its largest logit is that of its label (N).

    Batches go through the network side by side, on one thread each.
    """
    size = max(1, WORDS_AT_ONCE // prod(images.shape[1:]))
    batches = list(zip(split(images, size), split(labels, size), strict=True))

    def correct(batch: tuple[Tensor, Tensor]) -> Tensor:
        found, wanted = batch
        with torch.inference_mode():
            if found.ndim == 4:  # N x C x H x W: channels last is several times as fast
                found = found.contiguous(memory_format=torch.channels_last)
            right: Tensor = module(found).argmax(dim=1) == wanted
            return right

    hits, done = [], 0
    with (
        one_thread() as threads,
        ThreadPoolExecutor(min(threads, MOST_WORKERS), initializer=_single) as pool,
    ):
        for (_, wanted), found in zip(batches, pool.map(correct, batches), strict=True):
            progress(stage, done, len(labels))
            hits.append(found)
            done += len(wanted)
    return cat(hits)


def _single() -> None:
    torch.set_num_threads(1)
