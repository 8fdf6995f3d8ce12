"""Complaints cross to other processes as they are, whatever they were made from."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from hwsim.errors import (
    ConfigError,
    InputError,
    MappingError,
    UnknownNameError,
    UnsupportedOperatorError,
)

COMPLAINTS = [
    InputError("plain"),
    MappingError("fits nowhere"),
    UnsupportedOperatorError("no such operator"),
    UnknownNameError(kind="machine", name="eyeris", known=["eyeriss", "eie"]),
    ConfigError(file="chip.yaml", key="clock_mhz", value=-1, reason="must be above 0"),
    InputError(),
]


@pytest.mark.parametrize("error", COMPLAINTS, ids=lambda error: type(error).__name__)
def test_one_that_was_pickled_is_the_same(error: InputError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.args) == (type(error), str(error), error.args)


def refuse(number: int) -> None:
    raise COMPLAINTS[number]


def test_one_raised_elsewhere_is_raised_here() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        future = pool.submit(refuse, 3)
        with pytest.raises(UnknownNameError, match=r"did you mean 'eyeriss'") as raised:
            future.result()
    assert str(raised.value) == str(COMPLAINTS[3])
