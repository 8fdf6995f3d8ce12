"""The objective as sums of monomials: what each of a structure's links costs a word."""

import numpy as np
from numpy.typing import NDArray

from hwsim.cost import _ungated_share, arithmetic_pj
from hwsim.hardware import Accelerator, Array
from hwsim.mapping import kept_bits
from hwsim.search.dual import Goal
from hwsim.search.inner import INNER
from hwsim.search.problem import MACS, MONOMIALS, OUTER, RISEN, STEPS, SUMMED, TOGETHER, inner_levels
from hwsim.search.structures import Structure
from hwsim.skipping import performed_share
from hwsim.technology import array_noc_pj_per_bit, memory_pj_per_bit
from hwsim.traffic import coded_bits
from hwsim.workload import TENSORS, Layer

POWERS = {"energy": (1, 0), "cycles": (0, 1), "edp": (1, 1), "ed2p": (1, 2)}
READ, WRITTEN, DELIVERED, COLLECTED = range(4)


def word_prices(layer: Layer, machine: Accelerator) -> NDArray[np.float64]:
    """pJ [tensor, parent, child, 4] of a word read, written, delivered and collected."""
    count = len(machine.levels)
    found = np.zeros((3, count, count + 1, 4))
    for t, tensor in enumerate(TENSORS):
        if tensor in layer.tensors:
            for parent in range(count):
                for child in range(parent + 1, count + 1):
                    found[t, parent, child] = _word(layer, machine, tensor, parent, child)
    return found


def _word(
    layer: Layer, machine: Accelerator, tensor: str, parent: int, child: int
) -> tuple[float, float, float, float]:
    levels = machine.levels
    inside = child < len(levels)
    above = levels[parent].memory(tensor)
    below = levels[child].memory(tensor) if inside else None
    if above is None or (inside and below is None):
        return 0.0, 0.0, 0.0, 0.0
    read, write = memory_pj_per_bit(above, machine.technology)
    share = _share(layer, machine, tensor, levels[parent].component, inside)
    noc = _noc(layer, machine, tensor, levels[parent].level, levels[child].level if inside else None)
    fetch, keep = memory_pj_per_bit(below, machine.technology) if below else (0.0, 0.0)
    if tensor == "ofmap":
        up = kept_bits(layer, above, tensor)
        down = kept_bits(layer, below, tensor) if below else 0.0
        return up * read * share, up * write * share - noc, down * keep + noc, down * fetch + noc
    up = coded_bits(layer, above, tensor)
    down = coded_bits(layer, below, tensor) if below else 0.0
    return up * read * share, 0.0, down * keep + noc, 0.0


def _share(layer: Layer, machine: Accelerator, tensor: str, component: str, inside: bool) -> float:
    if inside or component != "spad":
        return 1.0
    performed = performed_share(layer, machine.mac)
    return performed if tensor == "ifmap" else performed * _ungated_share(layer, machine)


def _noc(layer: Layer, machine: Accelerator, tensor: str, parent: str, child: str | None) -> float:
    bits = layer.psum.bits if tensor == "ofmap" else layer.tensor(tensor).bits
    outer = machine.depth(parent)
    inner = machine.depth(child) if child else len(machine.hierarchy)
    return sum(
        part.word_bits(bits) * array_noc_pj_per_bit(part, machine.technology)
        for part in machine.hierarchy[outer:inner]
        if isinstance(part, Array)
    )


def _finished(layer: Layer, machine: Accelerator) -> float:
    """What finished ofmaps cost more in DRAM than psums."""
    dram = machine.levels[0].memory("ofmap")
    if dram is None or dram.cell != "dram":
        return 0.0
    _, write = memory_pj_per_bit(dram, machine.technology)
    wider = coded_bits(layer, dram, "ofmap") - kept_bits(layer, dram, "ofmap")
    return layer.words("ofmap") * write * wider


def goal(layer, machine, structure: Structure, objective: str, prices) -> tuple[Goal, float]:
    """The goal, and V x RD of the first-visit bonus."""
    base = np.array([
        layer.operands * layer.N * layer.G * layer.C,
        layer.G * layer.K * layer.C * layer.R * layer.S,
        layer.N * layer.G * layer.K * layer.P * layer.Q,
    ], float)
    energy = np.zeros(MONOMIALS)
    const = arithmetic_pj(layer, machine) + _finished(layer, machine)
    ops = float(layer.operations)
    last = {}
    split = inner_levels(machine)
    bonus = 0.0
    places = [(k, kept, k == structure.risen) for k, kept in enumerate(structure.outer)]
    places += [(OUTER + j, kept, True) for j, kept in enumerate(structure.inner)]
    for t, tensor in enumerate(TENSORS):
        if tensor not in layer.tensors:
            continue
        last_level = max((k.level for k in structure.stores if k.tensor == tensor), default=0)
        mac = prices[t, last_level, len(machine.levels)]
        inside = last_level >= split
        parent = 0
        for m, kept, pad in sorted((x for x in places if x[1].tensor == tensor), key=lambda x: x[1].level):
            rd, wr, dl, co = prices[t, parent, kept.level]
            summed = RISEN if m == structure.risen else m + INNER
            if tensor != "ofmap":
                energy[m] += base[t] * (rd if pad else rd + dl)
                if pad:
                    energy[summed] += base[t] * dl
            else:
                energy[m] += base[t] * (rd + wr + dl + (0 if pad else co))
                const -= base[t] * (rd + dl)
                if pad:
                    energy[summed] += base[t] * (co - (mac[READ] if kept.level == last_level else 0))
            parent = kept.level
        if inside:
            words = ops if tensor != "ifmap" else base[0] / 1.0
            if tensor == "ifmap":
                const += mac_ifmap(layer, machine) * mac[READ]
            else:
                const += ops * mac[READ] + ops * mac[WRITTEN]
            const += ops * (mac[DELIVERED] + mac[COLLECTED])
        else:
            energy[MACS + t] += base[t] * (mac[READ] + mac[WRITTEN])
            const += ops * (mac[DELIVERED] + mac[COLLECTED])
            if tensor == "ofmap":
                const -= base[t] * mac[READ]
    return Goal(
        powers=np.array(POWERS[objective], np.int64), energy=energy, energy_const=const,
        busy=np.zeros((0, MONOMIALS)), busy_const=np.zeros(0), clock=0.0,
    )


def mac_ifmap(layer: Layer, machine: Accelerator) -> float:
    """Ifmap operands that exist: those of padding do not, where it is not stored."""
    def rows(count, window, stride, dilation, pad, size):
        first, end = (0, size + 2 * pad) if machine.stores_padding else (pad, size + pad)
        at = np.arange(count)[:, None] * stride + np.arange(window)[None, :] * dilation
        return int(((at >= first) & (at < end)).sum())
    h = rows(layer.P, layer.R, layer.stride_h, layer.dilation_h, layer.pad_h, layer.H)
    w = rows(layer.Q, layer.S, layer.stride_w, layer.dilation_w, layer.pad_w, layer.W)
    return float(layer.operands * layer.N * layer.G * layer.C * layer.K * h * w)
