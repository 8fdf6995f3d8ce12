"""Mappers side by side: `python -m benchmarks.mappers`. Each mapping is judged by both models.

Peers get environments of their own under a cache folder, made on first use. Each row says whose
mapping it is, how long its search took and how much faster that is than the peer, and what both
models say of it. hwsim has a row for each effort: 0 is its dataflow's mappings alone, all others
search all mappings, with kernels that are compiled already. Models differ by what
`benchmarks/peers/zigzag_flow.py` and `accelforge_rules.py` state; `--counts` prints every link.
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import perf_counter

from benchmarks.peers import accelforge, zigzag
from benchmarks.peers.accelforge_rules import energy_pj
from benchmarks.peers.environments import (
    ACCELFORGE,
    ZIGZAG,
    Peer,
    PeerError,
    cache_folder,
    environment,
)
from benchmarks.peers.layers import (
    CONV2,
    DEPTHWISE,
    M45_BEST_UJ,
    M45_CONV2,
    M45_POINTWISE,
    POINTWISE,
    RESNET,
    ZIGZAG_BEST_EDP,
)
from benchmarks.peers.rows import OWN, Outcome, show
from hwsim.cost import cost
from hwsim.errors import InputError
from hwsim.found import EFFORT, Found, Question
from hwsim.hardware import Accelerator
from hwsim.interchange.zigzag import read, rounded_up
from hwsim.mapping import Mapping, validate
from hwsim.objective import Objective
from hwsim.simulate import search
from hwsim.workload import Layer

SHORT = (POINTWISE,)
LONG = (POINTWISE, DEPTHWISE, RESNET, CONV2)
EFFORTS = (0, EFFORT, 10_000_000)


def found_by_hwsim(
    layer: Layer, machine: Accelerator, objective: Objective, effort: int
) -> tuple[str, Found, float]:
    """What the row is called, the answer and its seconds."""
    start = perf_counter()
    asked = Question(layer=layer, machine=machine, objective=objective, effort=effort)
    found = search(asked)
    seconds = perf_counter() - start
    return f"{OWN}, {f'{effort:.0e}' if effort else 'dataflow'}", found, seconds


def _bound(found: Found) -> str:
    """How far the mapping may be from the best, or why all were not searched."""
    return found.reason or f"gap {100 * (found.gap or 0):.1f} %"


def zigzag_outcome(layer: Layer, *, python: Path, limit_s: float) -> Outcome:
    """ZigZag's mapping, and hwsim's cost of it."""
    try:
        found = zigzag.search(layer, python=python, limit_s=limit_s)
    except PeerError as error:
        return Outcome(tool="ZigZag", seconds=limit_s, note=str(error))
    said = zigzag.verdict(layer, found.nest)
    assert abs(said.edp - found.edp) <= 1e-9 * found.edp, "its rules are not what is written here"
    try:
        mapping = read(found.nest, layer, zigzag.machine())
    except InputError as error:
        theirs = found.energy_pj, found.cycles
        return Outcome(tool="ZigZag", seconds=found.seconds, theirs=theirs, note=str(error))
    return Outcome(
        tool="ZigZag",
        seconds=found.seconds,
        theirs=(found.energy_pj, found.cycles),
        ours=_ours(layer, mapping),
        mapping=mapping,
        note=_fault(layer, mapping),
    )


def hwsim_outcome(layer: Layer, effort: int) -> Outcome:
    """hwsim's mapping, and ZigZag's cost of it."""
    tool, found, seconds = found_by_hwsim(layer, zigzag.machine(), "edp", effort)
    ours = _ours(layer, found.mapping)
    try:
        said = zigzag.verdict_of(layer, found.mapping)
    except InputError as error:
        return Outcome(tool=tool, seconds=seconds, ours=ours, note=str(error))
    notes = _bound(found), _rounded(layer, found.mapping)
    return Outcome(
        tool=tool,
        seconds=seconds,
        theirs=(said.energy_pj, said.time.cycles),
        ours=ours,
        mapping=found.mapping,
        note="; ".join(filter(None, notes)),
    )


def _rounded(layer: Layer, mapping: Mapping) -> str:
    """What ZigZag's model, which has no ragged tiles in time, was asked about instead."""
    larger, _ = rounded_up(mapping, layer, zigzag.machine())
    bounds = larger.bounds.items()
    grown = [f"{dim}={bound}" for dim, bound in bounds if bound != layer.bounds[dim]]
    return f"there with {' '.join(grown)}" if grown else ""


def _ours(layer: Layer, mapping: Mapping) -> tuple[float, float]:
    found = cost(layer, mapping, zigzag.machine())
    return found.energy_pj, found.cycles


def _fault(layer: Layer, mapping: Mapping) -> str:
    """What hwsim would refuse about a mapping; its cost is given all the same."""
    try:
        validate(mapping, layer, zigzag.machine())
    except InputError as error:
        return str(error)
    return ""


def compare_zigzag(options: argparse.Namespace) -> None:
    """A block per layer: ZigZag's mapping by EDP, and hwsim's."""
    python = _environment(ZIGZAG, options)
    for layer in _chosen(LONG if options.long else SHORT, options):
        layer = layer.at_bits(**zigzag.BITS)
        title = f"{layer.name}; best EDP seen {_best_seen(layer):.3e}"
        counted = layer if options.counts else None
        show(title, _by_zigzag(layer, python, options), counted=counted)


def _by_zigzag(layer: Layer, python: Path | None, options: argparse.Namespace) -> Iterator[Outcome]:
    if python:
        yield zigzag_outcome(layer, python=python, limit_s=options.limit)
    for effort in options.effort:
        yield hwsim_outcome(layer, effort)


def compare_accelforge(options: argparse.Namespace) -> None:
    """A block per layer on M45: accelforge's mapping by energy, and hwsim's."""
    python = _environment(ACCELFORGE, options)
    for layer in _chosen((M45_POINTWISE, M45_CONV2)[: 1 + options.long], options):
        title = f"{layer.name} on M45; best known {M45_BEST_UJ[layer]} µJ"
        show(title, _by_accelforge(layer, python, options))


def _by_accelforge(
    layer: Layer, python: Path | None, options: argparse.Namespace
) -> Iterator[Outcome]:
    if python:
        try:
            mapping, seconds = accelforge.search(layer, python=python, limit_s=options.limit)
        except PeerError as error:
            yield Outcome(tool="accelforge", seconds=options.limit, note=str(error))
        else:
            yield _on_m45("accelforge", layer, mapping, seconds, python)
    for effort in options.effort:
        tool, found, seconds = found_by_hwsim(layer, accelforge.machine(), "energy", effort)
        yield _on_m45(tool, layer, found.mapping, seconds, python, note=_bound(found))


def _on_m45(
    tool: str,
    layer: Layer,
    mapping: Mapping,
    seconds: float,
    python: Path | None,
    *,
    note: str = "",
) -> Outcome:
    """What accelforge says of a mapping, or its rules where it is not at hand."""
    found = cost(layer, mapping, accelforge.machine())
    rules_pj = energy_pj(layer, mapping, accelforge.machine())
    theirs, notes = (rules_pj, float(found.compute_cycles)), [note, "by its rules"]
    if python:
        notes[1] = f"by its rules {rules_pj / 1e6:.3f} µJ"
        try:
            said = accelforge.judge(layer, mapping, python=python, limit_s=60)
        except PeerError as error:
            notes.append(str(error))
        else:
            theirs = said.energy_pj, said.cycles
    return Outcome(
        tool=tool,
        seconds=seconds,
        theirs=theirs,
        ours=(found.energy_pj, found.cycles),
        mapping=mapping,
        note="; ".join(filter(None, notes)),
    )


def _chosen(layers: Iterable[Layer], options: argparse.Namespace) -> list[Layer]:
    return [layer for layer in layers if options.only in layer.name]


def _environment(peer: Peer, options: argparse.Namespace) -> Path | None:
    """The peer's Python; None, and a line that says why, where there is none."""
    try:
        return environment(peer, cache=options.cache, wanted=options.peer_python)
    except PeerError as error:
        print(error)
        return None


def main() -> None:
    """Prints a block per layer and machine."""
    options = _options()
    # Compiles what is not compiled yet, of which a layer whose gap closes at once needs less.
    search(Question(layer=RESNET, machine=accelforge.machine()))
    compare_zigzag(options)
    compare_accelforge(options)


def _best_seen(layer: Layer) -> float:
    return next(edp for known, edp in ZIGZAG_BEST_EDP.items() if known.name == layer.name)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument(
        "--long", action="store_true", help="all layers: 90 s of ZigZag, 500 s of accelforge"
    )
    parser.add_argument("--only", default="", help="layers alone whose name holds this")
    parser.add_argument(
        "--effort", type=int, nargs="+", default=EFFORTS, help="of hwsim's search; 0: dataflow"
    )
    parser.add_argument("--counts", action="store_true", help="every link's words and energy")
    parser.add_argument("--limit", type=float, default=600, help="seconds a peer may take a layer")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="folder for peers")
    parser.add_argument("--peer-python", default="", help="the Python that peers are set up with")
    return parser.parse_args()


if __name__ == "__main__":
    main()
