"""Dynamic Network Surgery: weights are cut while training goes on, and spliced again as they grow.

Guo, Yao and Chen, "Dynamic Network Surgery for Efficient DNNs", NIPS 2016, arXiv:1608.04493.
"""

from collections.abc import Sequence

from pydantic import Field
from torch import nn

import hwsim.config
from compressors._data import Data, Needs
from compressors._fit import Fit, fit
from compressors._layers import WEIGHTED
from compressors.magnitude_pruning import parts
from compressors.pruning.repair import frozen
from compressors.pruning.surgery import Surgery
from compressors.pruning.targets import targets

NEEDS, TAKES = Needs.LABELS, WEIGHTED


class Config(hwsim.config.Config):
    """What a layer's thresholds are, when surgery takes place, and the training around it.

    A weight is cut below a_k and spliced from b_k on; between them it stays as it was. a_k and b_k
    are 1 - `band` and 1 + `band` times max(0, mean + `crate` * std) of the magnitudes of layer k's
    weights, as they were at the start. Masks are looked at after a step with a probability
    (1 + `decay` * step)^-1, which lets the weights settle, and no more once the `surgery` share of
    the training is over. With `apart`, linear layers follow convolutions.
    """

    crate: float = Field(default=1.0, allow_inf_nan=False)
    band: float = Field(default=0.1, ge=0, lt=1)
    decay: float = Field(default=0.01, ge=0, allow_inf_nan=False)
    surgery: float = Field(default=0.7, gt=0, le=1)
    apart: bool = True
    seed: int = Field(default=0, ge=0, lt=2**32)
    fit: Fit = Fit(epochs=3.0)


def compress(
    model: nn.Module, layers: Sequence[str], config: Config, data: Data | None
) -> nn.Module:
    """The network with masks in front of its weights."""
    assert data is not None
    assert data.labels is not None
    steps = round(config.surgery * config.fit.steps(len(data.images)))
    for group in parts(model, layers) if config.apart else [layers]:
        surgery = Surgery(
            targets(model, group),
            crate=config.crate,
            band=config.band,
            decay=config.decay,
            steps=steps,
            seed=config.seed,
        )
        with surgery, frozen(model, set(layers) - set(group)):
            fit(model, data.images, data.labels, config.fit, after_step=surgery.after_step)
    return model
