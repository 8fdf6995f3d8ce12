"""Numbers rounded to signed powers of two, so that products with them are shifts.

Lin, Courbariaux, Memisevic and Bengio, "Neural Networks with Few Multiplications", ICLR 2016,
Sec. 3.3.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from hwsim.config import Config


class Powers(Config):
    """The power of two nearest in the exponent; those more than `depth` below the largest are zero.

    The limits move with each tensor, as the paper's do with each layer.
    """

    depth: Annotated[int, Field(ge=0, le=60)] = 7

    def __call__(self, numbers: Tensor) -> Tensor:
        """The numbers, rounded; same shape and type."""
        exponents = torch.round(torch.log2(numbers.abs()))
        rounded = torch.exp2(exponents) * numbers.sign()
        return torch.where(exponents >= exponents.max() - self.depth, rounded, 0.0)
