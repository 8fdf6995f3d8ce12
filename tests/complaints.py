"""What is refused, and in what words."""

import re
from collections.abc import Callable

import pytest

from hwsim.errors import InputError


def refused(call: Callable[[], object], complaint: str) -> None:
    """`call` raises InputError: one line that begins with the complaint."""
    with pytest.raises(InputError, match=f"^{re.escape(complaint)}") as caught:
        call()
    assert "\n" not in str(caught.value)
