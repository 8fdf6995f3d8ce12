"""Training with what a method was given: its data, which has labels, and its settings."""

from collections.abc import Callable

from torch import Tensor, nn

from compressors._data import Data
from compressors._fit import Fit, Hook, fit


def tune(
    model: nn.Module,
    data: Data | None,
    settings: Fit,
    *,
    penalty: Callable[[], Tensor] | None = None,
    before_step: Hook | None = None,
    after_step: Hook | None = None,
) -> nn.Module:
    """`fit` in place on data that has labels, as a method's `NEEDS` made sure; the model."""
    assert data is not None
    assert data.labels is not None
    fit(
        model,
        data.images,
        data.labels,
        settings,
        penalty=penalty,
        before_step=before_step,
        after_step=after_step,
    )
    return model


def has_labels(data: Data | None) -> bool:
    """Whether a method that may train, but need not, can."""
    return data is not None and data.labels is not None
