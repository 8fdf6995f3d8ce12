"""Tests search for themselves: nothing that earlier runs found is theirs to find.

What they start hears Ctrl-C, even where a script runs them in the background and so has told them
to ignore it. No example is timed: machines are shared.
"""

import os
import signal

from hypothesis import settings

from hwsim.mapping_cache import OFF, VARIABLE

os.environ[VARIABLE] = OFF  # subprocesses too
signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
