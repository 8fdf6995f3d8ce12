"""Every link of a mapping by both models: words moved and energy, with what sets them apart."""

from collections.abc import Iterator

from benchmarks.peers import zigzag
from benchmarks.peers.zigzag_machine import Way
from benchmarks.peers.zigzag_rules import Verdict
from hwsim.interchange.zigzag import levels
from hwsim.mapping import Mapping
from hwsim.technology import memory_pj_per_bit
from hwsim.traffic import Transfer, transfers
from hwsim.workload import Layer


def lines(layer: Layer, mapping: Mapping) -> Iterator[str]:
    """A line per end of every link: hwsim's words, both energies in uJ."""
    verdict = zigzag.verdict_of(layer, mapping)
    yield f"    {'link':34} {'read':>11} {'written':>11} {'hwsim uJ':>10} {'ZigZag uJ':>10}"
    for move in transfers(layer, mapping, zigzag.machine()):
        link = move.link
        memory = levels(zigzag.machine(), move.tensor).index(link.parent)
        name = f"{move.tensor} {link.parent} -> {link.child}"
        theirs = _theirs(verdict, move.tensor, memory, (Way.READ_DOWN, Way.WRITE_UP))
        yield _line(f"{name}, at {link.parent}", link.reads, link.writes, _parent_pj(move), theirs)
        if move.child:
            theirs = _theirs(verdict, move.tensor, memory - 1, (Way.READ_UP, Way.WRITE_DOWN))
            words = link.collected, link.delivered
            yield _line(f"{name}, at {link.child}", *words, _child_pj(move), theirs)


def _line(name: str, read: int, written: int, ours_pj: float, theirs_pj: float) -> str:
    return f"    {name:34} {read:11} {written:11} {ours_pj / 1e6:10.3f} {theirs_pj / 1e6:10.3f}"


def _theirs(verdict: Verdict, tensor: str, memory: int, ways: tuple[Way, ...]) -> float:
    return sum(verdict.energies_pj.get((tensor, memory, way), 0.0) for way in ways)


def _parent_pj(move: Transfer) -> float:
    read_pj, write_pj = memory_pj_per_bit(move.parent, zigzag.machine().technology)
    return move.parent_read_bits * read_pj + move.parent_write_bits * write_pj


def _child_pj(move: Transfer) -> float:
    assert move.child is not None
    read_pj, write_pj = memory_pj_per_bit(move.child, zigzag.machine().technology)
    return move.child_read_bits * read_pj + move.child_write_bits * write_pj
