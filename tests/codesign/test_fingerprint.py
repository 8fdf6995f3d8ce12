"""Functions that judge by other code or other images are told apart, equal ones are not."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from compressors.codesign._fingerprint import fingerprint
from data._dataset import Dataset

SEEN = torch.arange(4.0)


def over(images: Tensor) -> Callable[[nn.Module], float]:
    return lambda module: float(module(images).sum())


def by_global(module: nn.Module) -> float:
    return float(module(SEEN).sum())


def scored(images: Tensor, module: nn.Module) -> float:
    return float(module(images).sum())


class Judge:
    def __init__(self, images: Tensor | Dataset) -> None:
        self.images = images

    def __call__(self, module: nn.Module) -> float:
        return float(module(self.images).sum())


def dataset(images: Tensor) -> Dataset:
    return Dataset(images, images, images)


def test_equal_content_is_equal() -> None:
    for make in (over, Judge, partial(partial, scored)):
        assert fingerprint(make(torch.ones(3))) == fingerprint(make(torch.ones(3)))


def test_other_images_differ() -> None:
    one, other = torch.ones(3), torch.zeros(3)
    assert fingerprint(over(one)) != fingerprint(over(other))
    assert fingerprint(Judge(one)) != fingerprint(Judge(other))
    assert fingerprint(partial(scored, one)) != fingerprint(partial(scored, other))
    assert fingerprint(Judge(dataset(one))) != fingerprint(Judge(dataset(other)))


def test_globals_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(by_global)
    monkeypatch.setitem(by_global.__globals__, "SEEN", torch.zeros(4))
    assert fingerprint(by_global) != before


def test_other_code_differs() -> None:
    assert fingerprint(lambda module: 1.0) != fingerprint(lambda module: 2.0)


def test_what_a_function_says_of_itself_counts_alone() -> None:
    first, second = Judge(torch.ones(3)), Judge(torch.zeros(3))
    first.fingerprint = second.fingerprint = "mine"  # type: ignore[attr-defined]
    assert fingerprint(first) == fingerprint(second)
