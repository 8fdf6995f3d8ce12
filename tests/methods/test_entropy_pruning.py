"""Luo and Wu, arXiv:1706.05791."""

from math import log

import numpy as np
import torch
from torch import nn

from compressors._compress import compress
from compressors._data import Data
from compressors._plan import uniform
from compressors._probe import Maps, feature_maps
from compressors.structure._groups import channel_groups
from compressors.structure._remove import remove_
from tests.methods.conftest import cross_entropy

SMALL = {"between": {"epochs": 1, "batch": 3}}
SMALL_KEEP = ("3",)


def test_entropy_of_what_is_known() -> None:
    """A constant has none, numbers spread evenly over m bins have log m."""
    even = torch.arange(40).remainder(8).float()
    means = torch.stack([torch.full((40,), 0.3), even, (even > 3).float()], dim=1)
    found = Maps(means, torch.zeros(3)).entropy(bins=8)
    assert torch.allclose(found, torch.tensor([0, log(8), log(2)]).double())


def test_entropy_is_numpys(cnn: nn.Module, training: Data) -> None:
    """Of the pooled maps, without labels."""
    few = Data(images=training.images[:200])
    found = feature_maps(cnn, ["3"], few)["3"].entropy(bins=20)
    assert isinstance(cnn, nn.Sequential)
    with torch.no_grad():
        pooled = cnn[:6](few.images).mean((2, 3)).numpy()
    for channel, entropy in enumerate(found):
        counts, _ = np.histogram(pooled[:, channel], bins=20)
        shares = counts[counts > 0] / 200
        assert abs(float(entropy) + float((shares * np.log(shares)).sum())) < 0.05


def test_beats_chance_at_equal_macs(cnn: nn.Module, training: Data, testing: Data) -> None:
    """Half of the filters of the widest layers, without fine-tuning."""
    plan = uniform(("entropy_pruning", {"keep": 0.5}), keep=["0", "9"])
    loss = cross_entropy(compress(cnn, plan, data=Data(images=training.images)), testing)
    by_chance = []
    for seed in range(5):
        drawn = compress(cnn, uniform(("huffman_coding", {})))
        draw = torch.Generator().manual_seed(seed)
        keep = {g: torch.randperm(16, generator=draw) < 8 for g in channel_groups(drawn)[1:3]}
        remove_(drawn, keep)
        by_chance.append(cross_entropy(drawn, testing))
    assert loss < sum(by_chance) / 5
