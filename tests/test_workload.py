"""Real zeros in the layer contract: what they say, what they must agree with, how they compare."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import InputError
from hwsim.workload import Layer, Op, Tensor, Zeros

CONV = Layer(name="conv", N=2, G=3, K=4, C=5, P=6, Q=7, R=2, S=3, stride_h=2, pad_h=1, H=10, W=9)
SHAPES = {"ifmap": (2, 15, 10, 9), "weight": (12, 5, 2, 3), "ofmap": (2, 12, 6, 7)}

shapes = st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple)


def drawn(shape: tuple[int, ...], seed: int = 0) -> Zeros:
    return Zeros.of(np.random.default_rng(seed).integers(-1, 2, shape))


def with_record(layer: Layer, tensor: str, record: Tensor) -> Layer:
    changes: dict[str, Any] = {tensor: record}
    return replace(layer, **changes)


@given(shape=shapes, seed=st.integers(0, 2**32 - 1))
def test_zeros_remember_where_and_nothing_else(shape: tuple[int, ...], seed: int) -> None:
    values = np.random.default_rng(seed).integers(-2, 3, shape)
    zeros = Zeros.of(values)
    assert zeros.shape == shape
    np.testing.assert_array_equal(zeros.mask, values != 0)
    assert zeros == Zeros.of(values != 0) == Zeros.of(values * 0.5)
    assert hash(zeros) == hash(Zeros.of(-values))
    if values.size:
        assert zeros.density == pytest.approx(np.count_nonzero(values) / values.size)
        changed = values.copy()
        changed.flat[0] = not changed.flat[0]
        assert zeros != Zeros.of(changed)


def test_the_representation_is_short() -> None:
    assert repr(Zeros.of(np.ones((64, 1000)))) == "Zeros(shape=(64, 1000))"


def test_the_density_follows_from_the_zeros() -> None:
    zeros = Zeros.of(np.array([3, 0, 0, -1, 0]))
    assert Tensor(zeros=zeros).density == 0.4
    assert replace(Tensor(zeros=zeros), bits=4) == Tensor(bits=4, density=0.4, zeros=zeros)
    with pytest.raises(InputError, match=r"tensor: density = 0\.5: its zeros say 0\.4"):
        Tensor(density=0.5, zeros=zeros)


@pytest.mark.parametrize("tensor", SHAPES)
def test_a_layer_takes_zeros_of_its_tensors_shapes(tensor: str) -> None:
    assert CONV.shape(tensor) == SHAPES[tensor]
    assert CONV.words(tensor) == np.prod(SHAPES[tensor])
    record = Tensor(zeros=drawn(SHAPES[tensor]))
    layer = with_record(CONV, tensor, record)
    assert layer.tensor(tensor).density == record.density
    assert layer.at_bits(ifmap=8, weight=8, ofmap=8, psum=20).tensor(tensor).zeros == record.zeros
    with pytest.raises(InputError, match=f"layer 'conv': {tensor}: zeros of shape .*: must be"):
        with_record(CONV, tensor, Tensor(zeros=drawn(SHAPES[tensor][::-1])))


def test_several_ifmaps_lie_one_after_the_other() -> None:
    add = Layer(name="add", op=Op.ADD, N=2, G=3, P=4, Q=5, operands=2)
    assert add.shape("ifmap") == (4, 3, 4, 5)
    assert add.words("ifmap") == 2 * 2 * 3 * 4 * 5


@pytest.mark.parametrize(("op", "tensor"), [(Op.CONV, "psum"), (Op.POOL, "weight")])
def test_tensors_without_zeros_of_their_own(op: Op, tensor: str) -> None:
    with pytest.raises(InputError, match=f"layer 'x': {tensor}: has no zeros of its own"):
        with_record(Layer(name="x", op=op), tensor, Tensor(zeros=drawn((1, 1, 1, 1))))


def test_layers_compare_by_their_zeros() -> None:
    one, same, other = (
        replace(CONV, weight=Tensor(zeros=drawn(SHAPES["weight"], seed))) for seed in (1, 1, 2)
    )
    assert one == same
    assert len({one, same, other}) == 2
