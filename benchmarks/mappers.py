"""Mappers side by side: `python -m benchmarks.mappers`. Each mapping is judged by both models.

Peers get environments of their own under a cache folder, made on first use. Each row says whose
mapping it is, how long its search took, and what both models say of it. Models differ by what
`benchmarks/peers/zigzag_flow.py` and `accelforge_rules.py` state; `--counts` prints every link.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.peers import accelforge, zigzag
from benchmarks.peers.accelforge_rules import energy_pj
from benchmarks.peers.counts import lines
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
from hwsim.cost import cost
from hwsim.errors import InputError
from hwsim.found import Question
from hwsim.interchange.zigzag import read, rounded_up
from hwsim.mapping import Mapping, validate
from hwsim.simulate import search
from hwsim.workload import Layer

SHORT = (POINTWISE,)
LONG = (POINTWISE, RESNET, DEPTHWISE, CONV2)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A mapping of one tool, (pJ, cycles) by a peer's model and ours, and what is wrong with it."""

    tool: str
    seconds: float
    theirs: tuple[float, float] | None = None
    ours: tuple[float, float] | None = None
    mapping: Mapping | None = None
    note: str = ""

    def __str__(self) -> str:
        return (
            f"  {self.tool:10} {self.seconds:8.3f} s   peer's model {_said(self.theirs)}"
            f"   hwsim's {_said(self.ours)}" + (f"   {self.note}" if self.note else "")
        )


def _said(said: tuple[float, float] | None) -> str:
    if said is None:
        return f"{'-':>36}"
    energy_pj, cycles = said
    return f"{energy_pj:10.4e} pJ {cycles:9.0f} c {energy_pj * cycles:9.3e}"


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


def hwsim_outcome(layer: Layer) -> Outcome:
    """hwsim's mapping, and ZigZag's cost of it."""
    machine = zigzag.machine()
    start = perf_counter()
    try:
        mapping = search(Question(layer=layer, machine=machine)).mapping
    except InputError as error:
        return Outcome(tool="hwsim", seconds=perf_counter() - start, note=str(error))
    seconds = perf_counter() - start
    ours = _ours(layer, mapping)
    try:
        said = zigzag.verdict_of(layer, mapping)
    except InputError as error:
        return Outcome(tool="hwsim", seconds=seconds, ours=ours, note=str(error))
    theirs = said.energy_pj, said.time.cycles
    note = _rounded(layer, mapping)
    return Outcome(
        tool="hwsim", seconds=seconds, theirs=theirs, ours=ours, mapping=mapping, note=note
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
    for layer in LONG if options.long else SHORT:
        layer = layer.at_bits(**zigzag.BITS)
        print(f"{layer.name}: pJ, cycles, pJ x cycles; ZigZag's best seen {_best_seen(layer):.3e}")
        found = [hwsim_outcome(layer)]
        if python:
            found.insert(0, zigzag_outcome(layer, python=python, limit_s=options.limit))
        for outcome in found:
            print(outcome, flush=True)
            if options.counts and outcome.mapping:
                print("\n".join(lines(layer, outcome.mapping)))


def compare_accelforge(options: argparse.Namespace) -> None:
    """A block per layer on M45: accelforge's mapping by energy, and hwsim's."""
    python = _environment(ACCELFORGE, options)
    for layer in (M45_POINTWISE, M45_CONV2) if options.long else (M45_POINTWISE,):
        print(f"{layer.name} on M45: pJ, cycles, pJ x cycles; best known {M45_BEST_UJ[layer]} uJ")
        start = perf_counter()
        asked = Question(layer=layer, machine=accelforge.machine(), objective="energy")
        mapping = search(asked).mapping
        print(_on_m45("hwsim", layer, mapping, perf_counter() - start, python), flush=True)
        if python:
            try:
                mapping, seconds = accelforge.search(layer, python=python, limit_s=options.limit)
            except PeerError as error:
                print(f"  {error}")
            else:
                print(_on_m45("accelforge", layer, mapping, seconds, python), flush=True)


def _on_m45(
    tool: str, layer: Layer, mapping: Mapping, seconds: float, python: Path | None
) -> Outcome:
    """What accelforge says of a mapping, or its rules where it is not at hand."""
    found = cost(layer, mapping, accelforge.machine())
    rules_pj = energy_pj(layer, mapping, accelforge.machine())
    theirs, note = (rules_pj, float(found.compute_cycles)), "by its rules"
    if python:
        note = f"by its rules {rules_pj:.4e} pJ"
        try:
            said = accelforge.judge(layer, mapping, python=python, limit_s=60)
        except PeerError as error:
            note += f"; {error}"
        else:
            theirs = said.energy_pj, said.cycles
    ours = found.energy_pj, found.cycles
    return Outcome(tool=tool, seconds=seconds, theirs=theirs, ours=ours, mapping=mapping, note=note)


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
    compare_zigzag(options)
    compare_accelforge(options)


def _best_seen(layer: Layer) -> float:
    return next(edp for known, edp in ZIGZAG_BEST_EDP.items() if known.name == layer.name)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument(
        "--long", action="store_true", help="all layers: 90 s of ZigZag, 500 s of accelforge"
    )
    parser.add_argument("--counts", action="store_true", help="every link's words and energy")
    parser.add_argument("--limit", type=float, default=600, help="seconds a peer may take a layer")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="folder for peers")
    parser.add_argument("--peer-python", default="", help="the Python that peers are set up with")
    return parser.parse_args()


if __name__ == "__main__":
    main()
