"""Prices of layers, each asked for once: what is in the store is not simulated again."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from compressors.codesign._cost import Cost, LayerCosts, Simulator
from compressors.codesign._store import Store, key_of
from hwsim._content import digest
from hwsim.errors import InputError
from hwsim.progress import Progress, quiet
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
    progress: Progress = quiet
    known: dict[str, Cost | str] = field(default_factory=dict)

    def ahead(self, layers: Iterable[Layer]) -> None:
        """Has the simulator map what is not known of these layers, several at once."""
        if not isinstance(self.cost, Simulator):
            return
        asked = {self._key(layer): layer for layer in layers if not self._rides(layer)}
        new = {key: layer for key, layer in asked.items() if self._recalled(key) is None}
        mapped = 0

        def done(more: int) -> None:
            nonlocal mapped
            mapped += more
            self.progress("mapping layers", mapped, len(new))

        found = self.cost.ahead(new.values(), done)
        for key, cost in zip(new, found, strict=bool(found)):
            self.store.keep(self._stored(key), _record(cost))

    def __call__(self, layer: Layer) -> Cost:
        """The price. Raises InputError for a layer that cannot be run."""
        key = self._key(layer)
        if key not in self.known:
            self.known[key] = self._kept(layer, key)
        found = self.known[key]
        if isinstance(found, str):
            raise InputError(found)
        return found

    def _rides(self, layer: Layer) -> bool:
        """Whether the layer is fused into its producer."""
        if not isinstance(self.cost, Simulator):
            return False
        return bool(fused_into(self.network, self.network[layer.name], self.cost.machine))

    def _key(self, layer: Layer) -> str:
        """What tells a layer's price from others', but for the cost."""
        simulated = replace(layer, name="") if isinstance(self.cost, Simulator) else layer
        return f"{digest(simulated)} {simulated.name} {self._rides(layer)}"

    def _kept(self, layer: Layer, key: str) -> Cost | str:
        decides = getattr(self.cost, "key", None)
        if decides is None:
            return self._asked(layer)
        record = self._recalled(key)
        if record is None:
            record = self.store.keep(self._stored(key), _record(self._asked(layer)))
        return Cost(**record) if isinstance(record, dict) else str(record)

    def _recalled(self, key: str) -> Any:
        """What the store has of a price, None where nothing."""
        return self.store.find(self._stored(key))

    def _stored(self, key: str) -> str:
        """Where the store has a price."""
        return key_of("price", getattr(self.cost, "key", None), key)

    def _asked(self, layer: Layer) -> Cost | str:
        try:
            if self._rides(layer) and isinstance(self.cost, Simulator):
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
