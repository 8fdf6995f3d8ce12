"""What words and cycles of a layer cost and take on a machine, whatever the structure."""

from typing import NamedTuple

import numpy as np

from hwsim.cost import arithmetic_pj, busy_share
from hwsim.hardware import Accelerator, Array
from hwsim.mapping import Mapping, kept_bits
from hwsim.reuse import MAC
from hwsim.search.clock import Timing, timing
from hwsim.search.maxima import CONST, SUM, Floats
from hwsim.search.problem import STEPS
from hwsim.search.structures import inner_levels
from hwsim.skipping import expected_cycles, mac_cycles
from hwsim.technology import array_noc_pj_per_bit, memory_pj_per_bit
from hwsim.traffic import code_bits, coded_bits
from hwsim.workload import TENSORS, Layer


class Rates(NamedTuple):
    """What words and cycles of a layer cost and take, whatever the structure.

    `pj` [tensor, parent, child, 5]: of a word by column; `arithmetic_pj`; `finished_pj`: what
    finished ofmaps cost more in DRAM than psums; `cycle_pj`. `timing`: cycles of a word. `words`
    [tensor]: those of a monomial of 1; `operands` [tensor]: those that MACs are sent; `elements`:
    the ifmap's words of each place in it, in pads and, where padding is sent as well, in buffers,
    or 0; `ifmap_reads` from pads; `read_back`: least psums that they read from pads. `arithmetic`:
    a sum of cycles. `split`: the first level within the array; `places` on it.
    """

    pj: Floats
    arithmetic_pj: float
    finished_pj: float
    cycle_pj: float
    timing: Timing
    words: tuple[float, ...]
    operands: tuple[float, ...]
    elements: tuple[float, float]
    ifmap_reads: float
    read_back: float
    arithmetic: Floats
    split: int
    places: int


def rates_of(layer: Layer, machine: Accelerator) -> Rates:
    """What words of a layer, as it is given, cost and take on a machine."""
    count = len(machine.levels)
    pj = np.zeros((3, count, count + 1, 5))
    for t, tensor in enumerate(TENSORS):
        if tensor in layer.tensors:
            for parent in range(count):
                for child in range(parent + 1, count + 1):
                    pj[t, parent, child] = _word(layer, machine, tensor, parent, child)
    places = machine.arrays[0].instances if machine.arrays else 1
    operations, words = float(layer.operations), float(layer.words("ofmap"))
    reduced = layer.operations // layer.words("ofmap")
    sent = machine.stores_padding or not (layer.pad_h or layer.pad_w)
    return Rates(
        pj=pj,
        arithmetic_pj=arithmetic_pj(layer, machine),
        finished_pj=_finished_pj(layer, machine),
        cycle_pj=_cycle_pj(machine),
        timing=timing(layer, machine),
        words=(
            float(layer.operands * layer.N * layer.G * layer.C),
            float(layer.G * layer.K * layer.C * layer.R * layer.S),
            words,
        ),
        operands=(layer.operands * operations, operations, operations),
        elements=(layer.operands, layer.operands if sent else 0),
        ifmap_reads=_ifmap_reads(layer, machine),
        read_back=max(0.0, operations - words * min(reduced, places)),
        arithmetic=_arithmetic(layer, machine),
        split=inner_levels(machine),
        places=places,
    )


def _word(layer: Layer, machine: Accelerator, tensor: str, parent: int, child: int) -> list[float]:
    levels = machine.levels
    inside = child < len(levels)
    above = levels[parent].memory(tensor)
    below = levels[child].memory(tensor) if inside else None
    if above is None or (inside and below is None):
        return [0.0] * 5
    read, write = memory_pj_per_bit(above, machine.technology)
    ends = levels[parent].level, levels[child].level if inside else MAC
    share = busy_share(layer, machine, tensor, *ends)
    noc = _noc_pj(layer, machine, tensor, *ends)
    fetch, keep = memory_pj_per_bit(below, machine.technology) if below else (0.0, 0.0)
    if tensor == "ofmap":
        up = kept_bits(layer, above, tensor) * share
        down = kept_bits(layer, below, tensor) if below else 0.0
        return [up * read, up * write, down * keep, down * fetch + noc, -noc]
    up = coded_bits(layer, above, tensor) * share
    down = coded_bits(layer, below, tensor) if below else 0.0
    return [up * read, 0.0, down * keep + noc, 0.0, 0.0]


def _noc_pj(layer: Layer, machine: Accelerator, tensor: str, parent: str, child: str) -> float:
    bits = layer.psum.bits if tensor == "ofmap" else layer.tensor(tensor).bits
    outer = machine.depth(parent)
    within = child != MAC
    inner = machine.depth(child) if within else len(machine.hierarchy)
    packed = code_bits(layer, machine.level(child).memory(tensor) if within else None, tensor)
    return sum(
        min(part.word_bits(bits), packed) * array_noc_pj_per_bit(part, machine.technology)
        for part in machine.hierarchy[outer:inner]
        if isinstance(part, Array)
    )


def _finished_pj(layer: Layer, machine: Accelerator) -> float:
    dram = machine.levels[0].memory("ofmap")
    if dram is None or dram.cell != "dram":
        return 0.0
    _, write = memory_pj_per_bit(dram, machine.technology)
    wider = coded_bits(layer, dram, "ofmap") - kept_bits(layer, dram, "ofmap")
    return layer.words("ofmap") * write * wider


def _cycle_pj(machine: Accelerator) -> float:
    control = machine.control
    return control.clock_pj_per_cycle + control.leakage_mw / machine.clock_mhz * 1e3


def _arithmetic(layer: Layer, machine: Accelerator) -> Floats:
    """Cycles of arithmetic, at least: all steps or, where PEs skip zeros, as if the work that is
    left fell evenly on all places."""
    found, skipped = np.zeros(SUM), machine.mac.zero_skipping
    found[STEPS] = float(mac_cycles(layer, machine.mac))
    if layer.weighted and skipped:
        work = expected_cycles(layer, Mapping(()), sync=0, skipped=skipped)
        found[STEPS] *= work / layer.operations
        found[CONST] = 0.0 if work else 1.0
    return found


def _ifmap_reads(layer: Layer, machine: Accelerator) -> float:
    """Ifmap operands that exist: those of padding do not, where it is not stored."""
    heights = (layer.P, layer.R, layer.stride_h, layer.dilation_h, layer.pad_h, layer.H)
    widths = (layer.Q, layer.S, layer.stride_w, layer.dilation_w, layer.pad_w, layer.W)
    rows, columns = (_inside(*side, stored=machine.stores_padding) for side in (heights, widths))
    return float(layer.operands * layer.N * layer.G * layer.C * layer.K * rows * columns)


def _inside(
    count: int, window: int, stride: int, dilation: int, pad: int, size: int, *, stored: bool
) -> int:
    first, end = (0, size + 2 * pad) if stored else (pad, size + pad)
    at = np.arange(count)[:, None] * stride + np.arange(window)[None, :] * dilation
    return int(((at >= first) & (at < end)).sum())
