"""Filter pruning driven by what a machine says: rounds of trials down to a budget (NetAdapt).

No method of a plan, as it searches the whole network on a machine and keeps what it finishes in a
folder; and as no single layer's settings could say what it does.
"""

from compressors.adapt._netadapt import Adapted as Adapted
from compressors.adapt._netadapt import Config as Config
from compressors.adapt._netadapt import Round as Round
from compressors.adapt._netadapt import adapt as adapt
