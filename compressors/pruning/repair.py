"""What mends a network once weights are gone."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

from torch import nn

from compressors._data import Data
from compressors._fit import Fit, Hook, fit
from compressors._layers import WEIGHTED, compressible_layers, weight_of
from hwsim.config import Config

DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)


class Repair(Config, ABC):
    """Mends a network in place."""

    @abstractmethod
    def mend_(self, model: nn.Module, data: Data, after_step: Hook | None) -> None:
        """Mend; `after_step` runs after each step of whatever trains."""

    def steps(self, data: Data) -> int:
        """How many steps `mend_` takes."""
        return 0


class Retrain(Repair):
    """Training goes on from the values that the weights have; what is masked stays zero.

    With `scale_dropout` a dropout behind a layer that has grown sparse is weaker for the while.
    """

    fit: Fit = Fit()
    scale_dropout: bool = False

    def mend_(self, model: nn.Module, data: Data, after_step: Hook | None) -> None:
        assert data.labels is not None
        with scaled_dropout(model) if self.scale_dropout else nullcontext():
            fit(model, data.images, data.labels, self.fit, after_step=after_step)

    def steps(self, data: Data) -> int:
        return self.fit.steps(len(data.images))


@contextmanager
def frozen(model: nn.Module, layers: Iterable[str]) -> Iterator[None]:
    """The weights and biases of these layers held fast for a while."""
    found = compressible_layers(model)
    held = [p for path in layers for p in found[path].parameters() if p.requires_grad]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)


@contextmanager
def scaled_dropout(model: nn.Module) -> Iterator[None]:
    """Every dropout's rate times the root of the density of the layer before it, for a while.

    Han et al., NIPS 2015, eq. 2: D_r = D_o sqrt(C_r / C_o). Modules are taken to run in the order
    in which they were made.
    """
    rates = [(part, part.p) for part in model.modules() if isinstance(part, DROPOUT)]
    density = 1.0
    for part in model.modules():
        if isinstance(part, WEIGHTED):
            weight = weight_of(part)
            density = int(weight.count_nonzero()) / weight.numel()
        elif isinstance(part, DROPOUT):
            part.p *= density**0.5
    try:
        yield
    finally:
        for part, rate in rates:
            part.p = rate
