"""The networks of a space as layers, made once and sent to all workers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from hwsim.explore.space import Space, chosen_values, network_names
from hwsim.hardware import Accelerator
from hwsim.networks import load_network
from hwsim.progress import Progress
from hwsim.simulate import accumulated
from hwsim.workload import Layer, Network


@dataclass(frozen=True)
class Workload:
    """Layers, each with whether it may ride on its only producer, and the top-1 of the network as
    it is here, from 0 to 1, if that was measured. Names are left out, so that equal layers are
    equal; `names` has them, each with its only producer's."""

    layers: tuple[tuple[Layer, bool], ...]
    accuracy: float | None = None
    names: tuple[tuple[str, str | None], ...] = ()

    @staticmethod
    def of(network: Network, *, space: Space, accuracy: float | None = None) -> "Workload":
        """Of a network's layers those that the space asks for."""
        wanted = [layer for layer in network if not space.ops or layer.op in space.ops]
        producers = [_only(network.graph.predecessors(layer.name)) for layer in wanted]
        return Workload(
            layers=tuple(
                (replace(layer, name=""), producer is not None)
                for layer, producer in zip(wanted, producers, strict=True)
            ),
            accuracy=accuracy,
            names=tuple(
                (layer.name, producer) for layer, producer in zip(wanted, producers, strict=True)
            ),
        )

    def on(self, machine: Accelerator, *, bits: int | None) -> Iterator[tuple[Layer, bool]]:
        """Each layer as a machine runs it, all words of so many bits or, without, as they are; and
        whether it rides on its producer."""
        for layer, lone in self.layers:
            wide = layer
            if bits is not None:
                wide = layer.at_bits(ifmap=bits, weight=bits, ofmap=bits, psum=2 * bits)
            yield accumulated(wide, machine), lone and layer.op in machine.fused


def _only(names: Iterable[str]) -> str | None:
    """The one name, if there is one alone."""
    found = list(names)
    return found[0] if len(found) == 1 else None


Workloads = dict[tuple[str, int], Workload]


def load_workloads(space: Space, *, progress: Progress) -> Workloads:
    """By network and batch, or by plan and 0, all workloads of a space. Raises InputError."""
    found: Workloads = {}
    batches = [*space.axes.get("batch", ()), *chosen_values(space, "batch")] or [space.batch]
    for name in network_names(space):
        for batch in dict.fromkeys(int(str(number)) for number in (*batches, space.batch)):
            progress(f"loading network {name}")
            network = load_network(name, batch=batch)
            found[name, batch] = Workload.of(network, space=space)
    for name in space.scenarios:
        found |= _sides(name, space, progress)
    return found


def _sides(name: str, space: Space, progress: Progress) -> Workloads:
    """Both sides of a scenario, named `SCENARIO: LABEL`, as its plan left them."""
    from hwsim.experiment import networks
    from hwsim.scenario_file import load_scenario

    scenario = load_scenario(name)
    return {
        (f"{scenario.name}: {label}", 0): Workload.of(network, space=space, accuracy=top1)
        for label, (network, top1) in networks(scenario, progress=progress).items()
    }
