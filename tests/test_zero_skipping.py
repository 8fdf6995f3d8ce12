"""The shipped machine that skips zeros: what it gains on AlexNet beside the ideal, and why less."""

from dataclasses import replace

import numpy as np
import pytest

from hwsim.cost import Cost, cost
from hwsim.hardware import Accelerator, load_machine
from hwsim.mapping import Mapping
from hwsim.simulate import best_mapping
from hwsim.skipping import performed_share, random_mask
from hwsim.workload import Layer, Op, Tensor, Zeros

SKIPPING = load_machine("zero_skipping")
DOES_ALL = SKIPPING.model_copy(
    update={"mac": SKIPPING.mac.model_copy(update={"zero_skipping": (), "sync_level": ""})}
)
BITS = {"ifmap": 8, "weight": 8, "ofmap": 8, "psum": 24}
CONV2 = Layer(name="CONV2", G=2, K=128, C=48, P=27, Q=27, R=5, S=5, pad_h=2, pad_w=2)
CONV3 = Layer(name="CONV3", K=384, C=256, P=13, Q=13, R=3, S=3, pad_h=1, pad_w=1)
ALEXNET = [layer.at_bits(**BITS) for layer in (CONV2, CONV3)]
UNPADDED = Layer(name="unpadded", K=24, C=10, P=9, Q=14, R=3, S=2).at_bits(**BITS)


def at(layer: Layer, density: float) -> Layer:
    """The layer with zeros in every tensor."""
    record = Tensor(bits=8, density=density)
    return replace(layer, ifmap=record, weight=record, ofmap=record)


def gain(layer: Layer, mapping: Mapping, machine: Accelerator = SKIPPING) -> tuple[float, Cost]:
    """How much fewer cycles of arithmetic zeros leave, and the cost."""
    found = cost(layer, mapping, machine)
    return cost(layer, mapping, DOES_ALL).compute_cycles / found.compute_cycles, found


@pytest.mark.parametrize("layer", [UNPADDED, Layer(name="fc", op=Op.LINEAR, K=50, C=90, N=3)])
def test_without_zeros_it_takes_every_step(layer: Layer) -> None:
    layer = layer.at_bits(**BITS)
    mapping, found = best_mapping(layer, SKIPPING)
    assert (mapping, found) == best_mapping(layer, DOES_ALL)


@pytest.mark.parametrize("layer", ALEXNET, ids=lambda layer: layer.name)
def test_without_zeros_it_skips_the_padding_alone(layer: Layer) -> None:
    mapping, _ = best_mapping(layer, SKIPPING)
    found, _ = gain(layer, mapping)
    assert 1 < found < 1 / performed_share(layer, SKIPPING.mac) < 1.12


@pytest.mark.parametrize("layer", ALEXNET, ids=lambda layer: layer.name)
def test_gains_beside_the_ideal(layer: Layer) -> None:
    """Lanes wait at every change of weights, and the buses carry zeros: much less than ideal."""
    print(f"\n{layer.name}  density   ideal  PEs  cycles  energy   bound by")
    before = 1.0
    for density in (0.7, 0.4, 0.1):
        sparse = at(layer, density)
        mapping, found = best_mapping(sparse, SKIPPING)
        _, dense = best_mapping(sparse, DOES_ALL)
        ideal = 1 / performed_share(sparse, SKIPPING.mac)
        pes, again = gain(sparse, mapping)
        assert again == found
        cycles, energy = dense.cycles / found.cycles, dense.energy_pj / found.energy_pj
        print(
            f"{layer.name}  {density:7}  {ideal:6.2f} {pes:5.2f}  {cycles:5.2f}  {energy:5.2f}   "
            f"{found.bound}"
        )
        assert 1 < cycles <= pes < 0.75 * ideal
        assert before < cycles
        assert energy > 1
        before = cycles


def test_the_more_often_lanes_wait_the_less_they_gain() -> None:
    layer = at(ALEXNET[1], 0.4)
    mapping, _ = best_mapping(layer, SKIPPING)
    gains = []
    for name in ("", "GLB", "spad"):
        mac = SKIPPING.mac.model_copy(update={"sync_level": name})
        gains.append(gain(layer, mapping, SKIPPING.model_copy(update={"mac": mac}))[0])
    assert gains == sorted(gains, reverse=True)
    assert gains[0] < 1 / performed_share(layer, SKIPPING.mac)


def test_zeros_that_fill_whole_filters_gain_other_than_zeros_at_random() -> None:
    """The same share of zeros: where they are makes the difference, and a density cannot tell."""
    layer = ALEXNET[1]
    shape = layer.shape("weight")
    filters = random_mask((shape[0], 1, 1, 1), density=0.5, seed=7)
    whole = Zeros.of(np.broadcast_to(filters, shape))
    spread = Zeros.of(random_mask(shape, density=whole.density, seed=8))
    mapping, _ = best_mapping(layer, SKIPPING)
    by_filters, at_random = (
        gain(replace(layer, weight=Tensor(bits=8, zeros=zeros)), mapping)[0]
        for zeros in (whole, spread)
    )
    print(f"half the weights: {by_filters:.2f} by filters, {at_random:.2f} at random")
    assert abs(by_filters / at_random - 1) > 0.05
