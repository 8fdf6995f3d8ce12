"""Where the non-zeros of a tensor are, as streams of symbols.

- relative_index: before each non-zero the run of zeros, `index_bits` wide; where a run is longer,
  a zero is stored as if it were none (Han et al., ICLR 2016, Fig. 2).
- bitmap: one bit an element.
- csr: the tensor as a matrix of filters; each non-zero's column, and where each row begins.
"""

from collections.abc import Mapping
from math import prod
from typing import Literal

import torch
from torch import Tensor

from compressors.codes._code import Stream

Places = Literal["relative_index", "bitmap", "csr"]
NAMES = ("places", "rows")


def stored_places(
    mask: Tensor, places: Places, index_bits: int
) -> tuple[dict[str, Stream], Tensor]:
    """The streams, and which elements' symbols follow, in order, -1 for a filling zero."""
    ends = mask.flatten().nonzero().flatten()
    match places:
        case "bitmap":
            return {"places": Stream(mask.flatten().long(), 1)}, ends
        case "csr":
            return _rows(mask, ends), ends
        case "relative_index":
            runs, stored = _runs(ends, 1 << index_bits)
            return {"places": Stream(runs, index_bits)}, stored


def _rows(mask: Tensor, ends: Tensor) -> dict[str, Stream]:
    columns = mask[0].numel() if len(mask) else 0
    counts = mask.flatten(1).sum(1) if mask.ndim > 1 else mask.long()
    starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return {
        "places": Stream(ends % max(1, columns), _width(columns - 1)),
        "rows": Stream(starts, _width(len(ends))),
    }


def _width(largest: int) -> int:
    return max(1, largest.bit_length())


def _runs(ends: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    gaps = torch.diff(ends, prepend=ends.new_tensor([-1])) - 1
    at = torch.cumsum(gaps // reach + 1, 0) - 1
    count = int(at[-1]) + 1 if len(at) else 0
    runs = torch.full((count,), reach - 1)
    runs[at] = gaps % reach
    stored = torch.full((count,), -1)
    stored[at] = ends
    return runs, stored


def found_places(streams: Mapping[str, Stream], places: Places, shape: tuple[int, ...]) -> Tensor:
    """Which element, in C order, each stored symbol belongs to."""
    symbols = streams["places"].symbols
    match places:
        case "bitmap":
            return symbols.nonzero().flatten()
        case "csr":
            starts = streams["rows"].symbols
            of_row = torch.repeat_interleave(torch.arange(len(starts) - 1), starts.diff())
            return of_row * prod(shape[1:]) + symbols
        case "relative_index":
            return torch.cumsum(symbols + 1, 0) - 1
