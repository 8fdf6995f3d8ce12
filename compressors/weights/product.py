"""Weights read from the codebooks of a product code; the codebooks train."""

from torch import Tensor

from compressors.codes.product import Product, read
from compressors.weights._form import Form


class ProductTable(Form):
    """A table of codebook rows, see `Product`, read at fixed indices."""

    indices: Tensor
    start: Tensor

    def __init__(self, code: Product) -> None:
        super().__init__()
        self.channels, self.length, self.by_tables = code.shape[1], code.length, code.by_tables
        self.register_buffer("indices", code.indices)
        self.register_buffer("start", code.table, persistent=False)

    def forward(self, latent: Tensor) -> Tensor:
        return read(latent, self.indices, channels=self.channels, length=self.length)

    def right_inverse(self, weight: Tensor) -> Tensor:
        return self.start.clone()

    def code(self, latent: Tensor) -> Product:
        return Product(
            self.indices,
            latent,
            channels=self.channels,
            length=self.length,
            by_tables=self.by_tables,
        )
