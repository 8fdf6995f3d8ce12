"""How a network was trained; its file keeps this as `RECIPE`, and `_train_fashion` follows it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Gradient descent with Nesterov momentum on one cycle of rates (arXiv:1708.07120).

    The rate rises to `peak_rate` in the first `warm_up` share of the steps, then falls to zero
    along a cosine. `augment` shifts images and mirrors half of them. `seed` draws first weights,
    orders and shifts. Sums on another number of `threads` round differently.
    """

    epochs: int
    peak_rate: float = 0.1
    warm_up: float = 0.2
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    batch: int = 128
    augment: bool = True
    seed: int = 1
    threads: int = 1
