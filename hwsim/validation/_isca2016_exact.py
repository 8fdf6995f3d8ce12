"""The study's mappings as loop nests, their accesses counted exactly and charged by its rules.

A word is charged where it is read and filling a memory is free; adding to a psum is charged two
accesses where the psum waits, and `hops` where it passes to the next PE; bypassed levels are free.
Weight stationary is absent: its ifmap values pass from PE to PE in time, which is no loop nest.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from hwsim.dataflows import row_stationary
from hwsim.dataflows._parts import nest
from hwsim.hardware import Accelerator, Array, MemoryLevel, load_machine
from hwsim.mapping import Loop, Mapping, Node, Store, validate
from hwsim.reuse import Link, access_counts
from hwsim.validation._isca2016_reuse import (
    RECOMPUTED_HOPS,
    PerLevel,
    Reuse,
    Reuses,
)
from hwsim.validation._isca2016_search import Chip
from hwsim.workload import Layer

Params = dict[str, int]
WORD_BITS = 16


def exact_accesses(
    dataflow: str,
    layer: Layer,
    params: Params,
    chip: Chip,
    reuses: Reuses,
    *,
    hops: int = RECOMPUTED_HOPS,
) -> PerLevel:
    """Accesses per MAC at each level; `reuses` says which levels the ifmap and weights bypass.

    Raises MappingError where the mapping does not fit the chip.
    """
    machine, mapping = NESTS[dataflow](layer, params, chip)
    validate(mapping, layer, machine)
    links = access_counts(layer, mapping, shared=machine.shared, padding=True)
    by_tensor = {name: [k for k in links if k.tensor == name] for name in layer.tensors}
    counts = (
        _input_counts(by_tensor["ifmap"], reuses.ifmap),
        _input_counts(by_tensor["weight"], reuses.weight),
        _psum_counts(by_tensor["ofmap"], hops),
    )
    return PerLevel(*(sum(each) / layer.macs for each in zip(*counts, strict=True)))


def _input_counts(links: Sequence[Link], reuse: Reuse) -> PerLevel:
    """Words read at each level, and words delivered to PEs."""
    reads = {link.parent: link.reads for link in links}
    delivered = next(link.delivered for link in links if _crosses_array(link))
    return PerLevel(
        reads["DRAM"],
        reads.get("GLB", 0),
        0 if reuse.abc is None else delivered,
        0 if reuse.abcd is None else reads.get("RF", 0),
    )


def _psum_counts(links: Sequence[Link], hops: int) -> PerLevel:
    """Two accesses for each psum added to another: what arrives at a level less what leaves it."""
    added = {"GLB": 0, "RF": 0}
    for above, below in pairwise(links):
        added[below.parent] = below.writes - above.collected
    outermost, over = links[0], next(link for link in links if _crosses_array(link))
    return PerLevel(
        outermost.reads + outermost.writes,
        2 * added["GLB"],
        hops * (over.collected - over.writes),
        2 * added["RF"],
    )


def _crosses_array(link: Link) -> bool:
    return link.parent != "RF" and link.child != "GLB"


def _machine(
    chip: Chip,
    *,
    axes: dict[str, int],
    buffer: Iterable[str],
    registers: Iterable[str] = (),
    rf_words: int = 0,
) -> Accelerator:
    """The normalised machine with PEs in another shape and memories for the named tensors."""
    machine = load_machine("isca2016_normalised")
    dram, glb, array, pads = machine.hierarchy
    assert isinstance(glb, MemoryLevel)
    assert isinstance(array, Array)
    assert isinstance(pads, MemoryLevel)
    parts = [dram, _level(glb, buffer, chip.buffer), array.model_copy(update={"axes": axes})]
    if registers:
        parts.append(_level(pads, registers, rf_words or chip.rf))
    return Accelerator.model_validate(machine.model_dump() | {"hierarchy": tuple(parts)})


def _level(level: MemoryLevel, tensors: Iterable[str], words: int) -> MemoryLevel:
    update = {"tensors": tuple(tensors), "capacity_bits": words * WORD_BITS}
    return level.model_copy(update={"memories": (level.memories[0].model_copy(update=update),)})


def _row_stationary(layer: Layer, params: Params, chip: Chip) -> tuple[Accelerator, Mapping]:
    """hwsim's own row-stationary mapping; sets lie side by side, R rows high."""
    m, n, e, p, q, r, t = (params[name] for name in "mnepqrt")
    machine = _machine(
        chip,
        axes={"X": e * r * t, "Y": layer.R},
        buffer=("ifmap", "ofmap"),
        registers=("ifmap", "weight", "ofmap"),
    )
    one, sets = row_stationary.Sets(r=1, t=1, g=1), row_stationary.Sets(r=r, t=t, g=1)
    choice = row_stationary.Pass(m=m, n=n, e=e, p=p, q=q, across=sets, down=one)
    return machine, row_stationary.mapping(layer, machine, choice)


def _osa(layer: Layer, params: Params, chip: Chip) -> tuple[Accelerator, Mapping]:
    """A PE keeps an ifmap window, of which the published register file holds a part at a time."""
    outer = (Loop("N", params["n"]), Loop("P", params["e"]), Loop("Q", params["f"]))
    spread = (Loop("K", 1), Loop("N", 1, "X"), Loop("P", 1, "X"), Loop("Q", 1, "X"))
    inner = (Loop("C", 1), Store("RF", ("ifmap",)), Loop("R", 1), Loop("S", 1))
    return _output_stationary(layer, params, chip, outer, spread, inner, window=layer.R * layer.S)


def _osb(layer: Layer, params: Params, chip: Chip) -> tuple[Accelerator, Mapping]:
    """A PE keeps an ifmap row's window."""
    outer = (Loop("N", params["n"]), Loop("P", 1), Loop("Q", params["f"]))
    spread = (Loop("K", params["p"]), *(Loop(dim, 1, "X") for dim in "KNQ"))
    inner = (Loop("C", 1), Loop("R", 1), Store("RF", ("ifmap",)), Loop("S", 1))
    return _output_stationary(layer, params, chip, outer, spread, inner, window=layer.S)


def _osc(layer: Layer, params: Params, chip: Chip) -> tuple[Accelerator, Mapping]:
    """A PE keeps nothing but its psum."""
    outer = (Loop("N", params["n"]), Loop("P", 1), Loop("Q", 1))
    spread = (Loop("K", params["p"]), *(Loop(dim, 1, "X") for dim in "KN"))
    inner = (Loop("C", 1), Loop("R", 1), Loop("S", 1))
    return _output_stationary(layer, params, chip, outer, spread, inner, window=0)


def _output_stationary(
    layer: Layer,
    params: Params,
    chip: Chip,
    outer: Iterable[Node],
    spread: Iterable[Node],
    inner: Iterable[Node],
    *,
    window: int,
) -> tuple[Accelerator, Mapping]:
    """Filters and the ifmap beneath them in the buffer, psums in the PEs."""
    machine = _machine(
        chip,
        axes={"X": chip.pes},
        buffer=("ifmap", "weight"),
        registers=("ifmap", "ofmap"),
        rf_words=1 + window,
    )
    nodes: list[Node] = [
        *(Store("DRAM", layer.tensors), Loop("G", 1), Loop("K", params["m"])),
        *(Store("GLB", ("weight",)), *outer, Store("GLB", ("ifmap",))),
        *(*spread, Store("RF", ("ofmap",)), *inner),
    ]
    return machine, nest(layer, nodes)


def _no_local_reuse(layer: Layer, params: Params, chip: Chip) -> tuple[Accelerator, Mapping]:
    """Everything in the buffer, nothing in the PEs; q products are added on their way back."""
    m, n, p, q, e, f = (params[name] for name in "mnpqef")
    machine = _machine(chip, axes={"X": chip.pes}, buffer=layer.tensors)
    nodes: list[Node] = [
        *(Store("DRAM", layer.tensors), Loop("G", 1), Loop("K", m)),
        *(Loop("N", n), Loop("P", e), Loop("Q", f), Store("GLB", ("ofmap",))),
        *(Loop("C", q), Store("GLB", ("ifmap", "weight"))),
        *(Loop(dim, 1) for dim in "RSNPQ"),
        *(Loop("K", p), Loop("K", 1, "X"), Loop("C", 1, "X")),
    ]
    return machine, nest(layer, nodes)


NESTS: dict[str, Callable[[Layer, Params, Chip], tuple[Accelerator, Mapping]]] = {
    "RS": _row_stationary,
    "OSA": _osa,
    "OSB": _osb,
    "OSC": _osc,
    "NLR": _no_local_reuse,
}
