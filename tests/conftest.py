"""Tests search for themselves: nothing that earlier runs found is theirs to find."""

import os

from hwsim.mapping_cache import OFF, VARIABLE

os.environ[VARIABLE] = OFF  # subprocesses too
