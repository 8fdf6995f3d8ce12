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


def place_streams(kept: Tensor, places: Places, index_bits: int) -> dict[str, Stream]:
    """The streams that say where `kept`, truth values of any shape, holds."""
    ends = kept.flatten().nonzero().flatten()
    match places:
        case "bitmap":
            return {"places": Stream(kept.flatten().long(), 1)}
        case "csr":
            return _rows(kept, ends)
        case "relative_index":
            return {"places": Stream(_runs(ends, 1 << index_bits), index_bits)}


def _rows(kept: Tensor, ends: Tensor) -> dict[str, Stream]:
    columns = kept[0].numel() if len(kept) else 0
    counts = kept.flatten(1).sum(1) if kept.ndim > 1 else kept.long()
    starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return {
        "places": Stream(ends % max(1, columns), _width(columns - 1)),
        "rows": Stream(starts, _width(len(ends))),
    }


def _width(largest: int) -> int:
    return max(1, largest.bit_length())


def _runs(ends: Tensor, reach: int) -> Tensor:
    gaps = torch.diff(ends, prepend=ends.new_tensor([-1])) - 1
    at = torch.cumsum(gaps // reach + 1, 0) - 1
    runs = torch.full((int(at[-1]) + 1 if len(at) else 0,), reach - 1)
    runs[at] = gaps % reach
    return runs


def found_places(streams: Mapping[str, Stream], places: Places, shape: tuple[int, ...]) -> Tensor:
    """What is stored, in C order of a tensor of `shape`: what is kept, and zeros that fill runs."""
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
