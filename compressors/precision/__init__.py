"""Which words each layer gets: candidates for `compressors.codesign.search`, and simpler policies.

Weights and ifmaps of every layer get widths of their own, where Ristretto (arXiv:1604.03168) has
one for all convolutions, one for all linear layers and one for all ifmaps. With `objective` energy
or latency and a budget of accuracy the search finds the narrowest words that are worth it on the
machine; with `objective="accuracy"` and a budget of latency, energy or size it answers what HAQ
(Wang et al., CVPR 2019, arXiv:1811.08886) asks of a learned agent.
"""

from collections.abc import Iterator, Sequence
from itertools import product

from torch import nn

from compressors._layers import LINEAR, weighted_layers
from compressors._plan import Plan
from compressors.codesign import Candidate, fixed_point, shift
from hwsim.errors import InputError
from hwsim.hardware import Accelerator


def widths(
    weight_bits: Sequence[int] = (8, 6, 4, 3, 2), activation_bits: Sequence[int] = (8, 6, 4)
) -> tuple[Candidate, ...]:
    """Fixed point at every pair of these widths."""
    return tuple(fixed_point(weight, ifmap) for weight in weight_bits for ifmap in activation_bits)


def machine_widths(machine: Accelerator) -> tuple[Candidate, ...]:
    """Fixed point at every pair of widths that the machine's MACs fuse or split to.

    Raises InputError for a machine whose MACs have one width.
    """
    precision = machine.mac.precision
    if precision is None:
        raise InputError(
            f"machine {machine.name!r}: its MACs have one width: no precision to scale"
        )
    weight, ifmap = (sorted(precision.widths[name], reverse=True) for name in ("weight", "ifmap"))
    return widths(weight, ifmap)


def shifts(
    terms: Sequence[int] = (1, 2, 3), bits: Sequence[int] = (2, 3, 4), *, activation_bits: int = 8
) -> tuple[Candidate, ...]:
    """ShiftCNN's N and B: every pair of them, beside ifmaps in fixed point."""
    return tuple(
        shift(n, b).after(fixed_point(16, activation_bits)) for n, b in product(terms, bits)
    )


def by_type(
    model: nn.Module,
    weight_bits: Sequence[int] = (8, 6, 4, 3, 2),
    activation_bits: Sequence[int] = (8, 6, 4),
) -> Iterator[Plan]:
    """Every plan with one width for weights of convolutions, one for those of linear layers and one
    for ifmaps: the space of Ristretto's search.
    """
    linear = {path: isinstance(part, LINEAR) for path, part in weighted_layers(model).items()}
    others = weight_bits if not all(linear.values()) else weight_bits[:1]
    ends = weight_bits if any(linear.values()) else weight_bits[:1]
    for first, last, ifmap in product(others, ends, activation_bits):
        chosen = {True: fixed_point(last, ifmap), False: fixed_point(first, ifmap)}
        yield Plan(layers={path: chosen[kind].steps for path, kind in linear.items()})
