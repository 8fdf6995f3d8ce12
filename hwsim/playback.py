"""A network played by the event-driven engine: where each cycle goes, as numbers and as a trace."""

import json
from collections.abc import Iterable, Sequence
from itertools import count

from rich.console import Group, RenderableType
from rich.table import Table

from hwsim import gallery
from hwsim.engine import Execution, run
from hwsim.errors import UnknownNameError
from hwsim.hardware import Accelerator
from hwsim.networks import load_network
from hwsim.objective import Objective
from hwsim.progress import Progress, quiet
from hwsim.ruled import ruled
from hwsim.simulate import accumulated, fused_into, map_layers
from hwsim.table import digits
from hwsim.workload import Layer

TRACE, HOOK = "trace.json", "draw_trace"


def play(
    name: str,
    machine: Accelerator,
    *,
    layers: Sequence[str] = (),
    batch: int = 1,
    bits: int | None = None,
    objective: Objective = "edp",
    progress: Progress = quiet,
) -> Execution:
    """A network's layers, or the named ones, one after another under their best mappings.

    Tensors are `bits` wide, by default as wide as the MACs take them, and without zeros. Layers
    that ride on their producer's output take no time and are left out. Raises UnknownNameError,
    MappingError, InputError.
    """
    progress(f"loading network {name}")
    network = load_network(name, batch=batch)
    names = [layer.name for layer in network]
    for wanted in layers:
        if wanted not in names:
            raise UnknownNameError(kind="layer", name=wanted, known=names)
    own = [
        layer
        for layer in network
        if (layer.name in layers or not layers) and not fused_into(network, layer, machine)
    ]
    wide = [_at_bits(layer, machine, bits) for layer in own]
    stage, mapped = f"mapping layers on {machine.name}", count(1)

    def tell(names: Iterable[str]) -> None:
        for _ in names:
            progress(stage, next(mapped), len(wide))

    progress(stage, 0, len(wide))
    found = map_layers(wide, machine, objective=objective, done=tell)
    progress("playing layers")
    return run([(layer, found[layer.name].mapping) for layer in wide], machine)


def _at_bits(layer: Layer, machine: Accelerator, bits: int | None) -> Layer:
    width = bits or min(machine.mac.ifmap_bits, machine.mac.weight_bits)
    wide = layer.at_bits(ifmap=width, weight=width, ofmap=width, psum=machine.mac.psum_bits)
    return accumulated(wide, machine)


def to_json(found: Execution) -> str:
    """Cycles, and where they went, without the trace."""
    record = {
        "cycles": found.cycles,
        "processing_cycles": found.processing_cycles,
        "compute_cycles": found.compute_cycles,
        "contention_cycles": found.contention_cycles,
        "busy_cycles": found.busy_cycles,
        "stall_cycles": found.stall_cycles,
    }
    return json.dumps(record, indent=2) + "\n"


def table(found: Execution) -> RenderableType:
    """What is busy and what the PEs stand for, in shares of all cycles."""
    ms = found.cycles / found.trace.clock_mhz / 1e3
    return Group(
        f"{found.trace.machine}: {found.cycles:,} cycles, {digits(ms)} ms",
        "",
        _shares("busy", found.busy_cycles, found.cycles),
        "",
        _shares("PEs stand for", found.stall_cycles, found.cycles),
    )


def _shares(head: str, cycles: dict[str, float], whole: int) -> Table:
    shown = ruled()
    shown.add_column(head, no_wrap=True)
    shown.add_column("cycles", justify="right")
    shown.add_column("share %", justify="right")
    for name, taken in sorted(cycles.items(), key=lambda item: -item[1]):
        shown.add_row(name, f"{taken:,.0f}", f"{100 * taken / whole:.1f}")
    return shown


def contents(found: Execution) -> dict[str, bytes]:
    """trace.json, which chrome://tracing and Perfetto open, and the plots of a trace."""
    files = {TRACE: found.trace.to_json().encode()}
    return files | gallery.images(gallery.plots(HOOK), HOOK, found.trace)
