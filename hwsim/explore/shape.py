"""A machine's shape: all of it that decides which mappings there are and what bits they move.

Levels, capacities, axes and word widths do; prices, bandwidths and the clock only weigh those bits.
"""

from pydantic import BaseModel

from hwsim.hardware import Accelerator, Array, Mac, Memory

# Fields that decide no mapping and no count: only what counts weigh, or area.
Dropped = dict[type, frozenset[str]]
WEIGHTS: Dropped = {
    Memory: frozenset(
        {
            "bank_bits",
            "read_bits_per_cycle",
            "read_pj_per_bit",
            "source",
            "word_bits",
            "write_bits_per_cycle",
            "write_pj_per_bit",
        }
    ),
    Array: frozenset({"bus_bits_per_cycle", "noc_pj_per_bit"}),
    Mac: frozenset({"multiply_add_pj", "primitive_pj", "source"}),
    Accelerator: frozenset(
        {"clock_mhz", "control", "description", "fused", "name", "source", "technology"}
    ),
}
# And those that decide which mappings there are, but not what one of them moves.
SIZES = WEIGHTS | {
    Memory: WEIGHTS[Memory] | {"capacity_bits", "reserved_bits"},
    Array: WEIGHTS[Array] | {"axes", "skewed"},
    Accelerator: WEIGHTS[Accelerator] | {"dataflow"},
}


def shape(machine: Accelerator) -> str:
    """All of a machine that decides which mappings there are and what they move."""
    return str(_shape(machine, WEIGHTS))


def structure(machine: Accelerator) -> str:
    """A machine's shape but for capacities and instances along axes."""
    return str(_shape(machine, SIZES))


def _shape(value: object, without: Dropped) -> object:
    if isinstance(value, tuple):
        return [_shape(item, without) for item in value]
    if not isinstance(value, BaseModel):
        return value
    dropped = without.get(type(value), frozenset())
    kept = (key for key in type(value).model_fields if key not in dropped)
    found = [_shape(getattr(value, key), without) for key in kept]
    if isinstance(value, Memory):  # what has no width has no port
        found += [value.read_bits_per_cycle is None, value.write_bits_per_cycle is None]
    if isinstance(value, Array):
        found += [*value.axes, *sorted(value.bus_bits_per_cycle)]
    return found
