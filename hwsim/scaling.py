"""From 45 nm at 0.9 V, where Horowitz's table stands, to other nodes and supplies.

Energies, delays and areas come out as multiples of their value at that point.
"""

from dataclasses import dataclass

from hwsim.errors import InputError

REFERENCE_NM = 45
REFERENCE_V = 0.9


@dataclass(frozen=True)
class Constant:
    """A number with its unit and the place it was published."""

    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Process:
    """A node: nominal supply in V, energy and delay polynomials in V, area relative to 45 nm.

    Coefficients run from the highest power down.
    """

    nominal_voltage: float
    energy: tuple[float, float, float]
    delay: tuple[float, float, float, float]
    area: float


# One family throughout: mixing the low-power rows for 45 and 32 nm with the high-performance ones
# below makes energy drop at the seam, and at 0.9 V the low-power 45 nm row is 3.6 times slower than
# 65 nm at 1 V, which no process is. The rows down to 65 nm come in one family only.
SCALING_SOURCE = (
    "Stillmaker and Baas, Integration 58, 2017: polynomials of the high-performance rows; area "
    "table, row 45 nm; nominal voltages of the Predictive Technology Model"
)
PROCESSES = {
    180: Process(1.8, (0, 24.64, -17.98), (0, 97.09, -356.7, 406.5), 19),
    130: Process(1.3, (7.171, -6.709, 2.904), (-76.65, 334.9, -493.4, 275.8), 6.4),
    90: Process(1.2, (4.762, -4.781, 2.092), (-60.34, 262.5, -384.2, 210.9), 2.8),
    65: Process(1.1, (3.755, -4.398, 1.975), (-53.3, 230.4, -333.9, 178.6), 1.5),
    45: Process(1.0, (1.018, -0.3107, 0.1539), (-501.6, 1567, -1619, 566.1), 1),
    32: Process(0.9, (0.8367, -0.4341, 0.1701), (-1047, 2982, -2797, 873.5), 0.46),
    20: Process(0.9, (0.373, -0.1582, 0.04104), (0, 34.63, -66.37, 41.15), 0.21),
    16: Process(0.85, (0.2958, -0.1241, 0.03024), (0, 24.8, -47.52, 28.87), 0.19),
    14: Process(0.8, (0.2363, -0.09675, 0.02239), (-40.66, 109.2, -100.6, 35.92), 0.17),
    10: Process(0.75, (0.2068, -0.09311, 0.02375), (-34.95, 93.65, -85.99, 30.4), 0.1),
    7: Process(0.7, (0.1776, -0.09097, 0.02447), (-28.58, 76.6, -70.26, 24.69), 0.059),
}
VOLTAGE_RANGE = (
    Constant(0.6, "nominal voltages", "assumption: below it the 65 to 180 nm fits turn upwards"),
    Constant(1.2, "nominal voltages", "assumption: holds the 65 nm, 1.3 V example of the paper"),
)


def scale(energy_pj: float, *, node_nm: int, voltage: float) -> float:
    """An energy at 45 nm 0.9 V taken to another node and supply. Raises InputError."""
    return energy_pj * _energy_factor(node_nm, voltage) / _energy_factor(REFERENCE_NM, REFERENCE_V)


def delay_scale(*, node_nm: int, voltage: float) -> float:
    """How many times as long a gate takes as at 45 nm 0.9 V. Raises InputError."""
    return _delay_factor(node_nm, voltage) / _delay_factor(REFERENCE_NM, REFERENCE_V)


def area_scale(*, node_nm: int) -> float:
    """How many times the area of 45 nm a circuit takes. Raises InputError."""
    return _process(node_nm).area


def voltage_range(*, node_nm: int) -> tuple[float, float]:
    """The lowest and highest supply, in V, that a node's fits are used at. Raises InputError."""
    nominal = _process(node_nm).nominal_voltage
    low, high = VOLTAGE_RANGE
    return round(low.value * nominal, 3), round(high.value * nominal, 3)


def _process(node_nm: int) -> Process:
    if node_nm not in PROCESSES:
        known = ", ".join(str(node) for node in PROCESSES)
        raise InputError(f"technology: node_nm = {node_nm}: must be one of {known}")
    return PROCESSES[node_nm]


def _supplied(node_nm: int, voltage: float) -> Process:
    process = _process(node_nm)
    low, high = voltage_range(node_nm=node_nm)
    if not low <= voltage <= high:
        raise InputError(
            f"technology: voltage = {voltage}: must lie in {low}..{high} V at {node_nm} nm"
        )
    return process


def _energy_factor(node_nm: int, voltage: float) -> float:
    a, b, c = _supplied(node_nm, voltage).energy
    return (a * voltage + b) * voltage + c


def _delay_factor(node_nm: int, voltage: float) -> float:
    a, b, c, d = _supplied(node_nm, voltage).delay
    return ((a * voltage + b) * voltage + c) * voltage + d
