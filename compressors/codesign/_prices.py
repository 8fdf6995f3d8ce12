"""Prices of layers, each asked for once: what is in the store is not simulated again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from compressors.codesign._cost import Cost, LayerCosts, Simulator
from compressors.codesign._store import Store, key_of
from hwsim._content import digest
from hwsim.errors import InputError
from hwsim.simulate import fused_into
from hwsim.workload import Layer, Network


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What `cost` says of each layer; refusals count as answers.

    A cost with a `key`, a text that decides all it says, is kept in the store; of one without,
    answers last as long as the search. On a simulated machine some layers of the `network` ride on
    their producers.
    """

    cost: LayerCosts
    store: Store
    network: Network
    known: dict[str, Cost | str] = field(default_factory=dict)

    def __call__(self, layer: Layer) -> Cost:
        """The price. Raises InputError for a layer that cannot be run."""
        rides = isinstance(self.cost, Simulator) and bool(
            fused_into(self.network, self.network[layer.name], self.cost.machine)
        )
        simulated = replace(layer, name="") if isinstance(self.cost, Simulator) else layer
        key = f"{digest(simulated)} {simulated.name} {rides}"
        if key not in self.known:
            self.known[key] = self._kept(layer, key, rides=rides)
        found = self.known[key]
        if isinstance(found, str):
            raise InputError(found)
        return found

    def _kept(self, layer: Layer, key: str, *, rides: bool) -> Cost | str:
        decides = getattr(self.cost, "key", None)
        if decides is None:
            return self._asked(layer, rides=rides)
        stored = key_of("price", decides, key)
        record = self.store.find(stored)
        if record is None:
            record = self.store.keep(stored, _record(self._asked(layer, rides=rides)))
        return Cost(**record) if isinstance(record, dict) else str(record)

    def _asked(self, layer: Layer, *, rides: bool) -> Cost | str:
        try:
            if rides and isinstance(self.cost, Simulator):
                return self.cost.fused(layer)
            return checked(self.cost(layer), layer)
        except InputError as error:
            return str(error)


def checked(found: object, layer: Layer) -> Cost:
    """A cost with finite numbers. Raises TypeError on anything else: a defect of the caller's."""
    if not isinstance(found, Cost):
        raise TypeError(f"cost: returned a {type(found).__name__} for {layer.name!r}, not a Cost")
    for name in ("energy_pj", "latency_ms"):
        value = getattr(found, name)
        if not 0 <= value < float("inf"):
            raise InputError(f"cost: {name} = {value!r} for layer {layer.name!r}: must be finite")
    return found


def _record(found: Cost | str) -> Mapping[str, object] | str:
    return asdict(found) if isinstance(found, Cost) else found
