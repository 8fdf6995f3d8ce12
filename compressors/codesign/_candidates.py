"""What a layer may get: a name and the steps of a plan, none at all included."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import Field

from compressors._plan import Step
from hwsim.config import Config, parse

Method = str | tuple[str, dict[str, Any]]


class Candidate(Config):
    """Steps, first ones first, under a name for reports.

    What removes channels comes first. It takes all layers whose channels go together, which then
    choose among the candidates that begin with the same step.
    """

    name: Annotated[str, Field(min_length=1)]
    steps: tuple[Step, ...] = ()

    @staticmethod
    def of(name: str, *methods: Method) -> "Candidate":
        """A candidate of methods by name, each with settings where the defaults will not do."""
        named = [(one, {}) if isinstance(one, str) else one for one in methods]
        steps = tuple(
            parse({"method": method, "config": config}, Step, file=f"candidate {name!r}")
            for method, config in named
        )
        return Candidate(name=name, steps=steps)

    def after(self, first: "Candidate") -> "Candidate":
        """The steps of `first`, then these."""
        return Candidate(name=f"{first.name} + {self.name}", steps=(*first.steps, *self.steps))


NONE = Candidate(name="none")
UNTRAINED = {"fit": {"epochs": 0}}


def fixed_point(weight_bits: int, activation_bits: int) -> Candidate:
    """Weights with a step for each filter, ifmaps with one for all, both of least squared error."""
    config = {
        "bits": weight_bits,
        "scope": "filter",
        "rule": "mse",
        "activation_bits": activation_bits,
        "activation_rule": "mse",
    }
    name = f"w{weight_bits}a{activation_bits}"
    return Candidate.of(name, ("uniform_fixed_point", config))


def magnitude(sparsity: float) -> Candidate:
    """Without the smallest weights of a layer, and without training."""
    config = {"sparsity": sparsity, "allocation": "layer", "rounds": 1, **UNTRAINED}
    return Candidate.of(f"prune {_percent(sparsity)}", ("magnitude_pruning", config))


def filters(keep: float) -> Candidate:
    """Without the filters of least absolute sum."""
    return Candidate.of(f"filters {_percent(keep)}", ("l1_filter_pruning", {"keep": keep}))


def shared(bits: int) -> Candidate:
    """Weights of a codebook for each layer."""
    return Candidate.of(f"share {bits}", ("kmeans_weight_sharing", {"bits": bits, **UNTRAINED}))


def shift(terms: int, bits: int) -> Candidate:
    """ShiftCNN: weights as sums of powers of two."""
    return Candidate.of(f"shift {terms}x{bits}", ("shiftcnn", {"terms": terms, "bits": bits}))


def ternary() -> Candidate:
    """Ternary weights with a scale for each filter."""
    config = {"scope": "filter", **UNTRAINED}
    return Candidate.of("ternary", ("ternary_weight_networks", config))


def default_candidates(
    *,
    weight_bits: Sequence[int] = (8, 6, 4, 3, 2),
    activation_bits: Sequence[int] = (8, 4),
    sparsities: Sequence[float] = (0.5, 0.8),
    keeps: Sequence[float] = (0.75, 0.5),
    shared_bits: Sequence[int] = (4,),
    shifts: Sequence[tuple[int, int]] = ((2, 4),),
) -> tuple[Candidate, ...]:
    """Nothing; fixed point; sums of powers of two, ternary, pruned and shared weights beside plain
    ifmaps and beside those of the widest of `activation_bits`; the same with fewer filters.

    Nothing in it trains, so that a trial takes seconds.
    """
    rounded = [fixed_point(w, a) for w in weight_bits for a in activation_bits]
    weights = [
        *(shift(*each) for each in shifts),
        ternary(),
        *map(magnitude, sparsities),
        *map(shared, shared_bits),
        *(shared(bits).after(magnitude(s)) for bits in shared_bits for s in sparsities[-1:]),
    ]
    narrow = [_at_activations(each, activation_bits[0]) for each in weights if activation_bits]
    thin = [filters(keep) for keep in keeps]
    first = rounded[:1]
    both = [each.after(one) for one in thin for each in first]
    return (NONE, *rounded, *weights, *narrow, *thin, *both)


def _at_activations(candidate: Candidate, bits: int) -> Candidate:
    """A candidate for weights, beside ifmaps of so many bits."""
    plain = fixed_point(16, bits)
    return Candidate(name=f"{candidate.name} a{bits}", steps=(*plain.steps, *candidate.steps))


def named(candidates: Iterable[Candidate]) -> dict[str, Candidate]:
    """Candidates by name, each once. Raises InputError on two of one name."""
    from hwsim.errors import InputError

    found: dict[str, Candidate] = {}
    for each in candidates:
        if found.setdefault(each.name, each) != each:
            raise InputError(f"candidates: two of them are named {each.name!r}")
    if not found:
        raise InputError("candidates: there are none")
    return found


def _percent(share: float) -> str:
    return f"{100 * share:g}%"
