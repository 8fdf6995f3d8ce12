"""Weights that a code holds fast, such as one read from a file; only a latent beside it trains."""

from torch import Tensor

from compressors.codes._code import Code
from compressors.weights._form import Form, straight_through


class Held(Form):
    """The value of one code, whatever the latent is."""

    value: Tensor

    def __init__(self, code: Code) -> None:
        super().__init__()
        self.held = code
        self.register_buffer("value", code.decode(), persistent=False)

    def forward(self, latent: Tensor) -> Tensor:
        return straight_through(self.value, latent)

    def code(self, latent: Tensor) -> Code:
        return self.held
