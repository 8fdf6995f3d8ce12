"""Which images a network tells right: their share, and how sure a difference of two shares is."""

from base64 import b64decode, b64encode
from math import nan
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Hits: TypeAlias = NDArray[np.bool_]  # one for each image
Outcome: TypeAlias = float | Hits  # a share alone, or more
MOST_SAID = 60  # letters of what was returned, in a complaint


def outcome_of(found: Any) -> Outcome:
    """What `evaluate` returned. Raises ValueError on what is neither a share in 0..1 nor true or
    false for each image."""
    if isinstance(found, Tensor):
        found = found.detach().cpu().numpy()
    if isinstance(found, np.ndarray) and found.ndim == 1:
        if not found.size or not np.isin(found, (0, 1)).all():
            raise ValueError("returned a list: must be true or false for each image, one or more")
        return found.astype(bool)
    try:
        share = float(found)
    except (TypeError, ValueError):
        share = nan
    if not 0 <= share <= 1:
        said = repr(found)[:MOST_SAID]
        raise ValueError(f"returned {said}: must be a share in 0..1, or true or false by image")
    return share


def share_of(outcome: Outcome) -> float:
    """The share of images told right."""
    return outcome if isinstance(outcome, float) else int(outcome.sum()) / len(outcome)


def packed(outcome: Outcome) -> Any:
    """As JSON-able content."""
    if isinstance(outcome, float):
        return outcome
    return [len(outcome), b64encode(np.packbits(outcome).tobytes()).decode()]


def unpacked(record: Any) -> Outcome:
    """What was written."""
    if not isinstance(record, list):
        return float(record)
    count, text = record
    bits = np.unpackbits(np.frombuffer(b64decode(text), dtype=np.uint8), count=count)
    return bits.astype(bool)


def standard_error(before: Outcome, after: Outcome) -> float | None:
    """Of the difference of two shares, by the images that only one of the two tells right; None
    where these are not known.

    They count as one more than there are: none among n images does not mean that there are none.
    """
    if isinstance(before, float) or isinstance(after, float) or before.shape != after.shape:
        return None
    count = len(before)
    differ, shift = int((before != after).sum()) + 1, share_of(before) - share_of(after)
    return float(np.sqrt(max(differ / count - shift**2, 1 / count**2) / count))
