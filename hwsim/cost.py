"""Energy, cycles and traffic of a mapped layer, from its access counts."""

from dataclasses import dataclass

COMPONENTS = ("MAC", "spad", "NoC", "GLB", "DRAM", "clock", "leakage")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one layer costs on one machine.

    `bound` names what sets the cycles: `compute`, a memory level, or a NoC bus. `utilization` is
    operations / (cycles x PEs). `stall_cycles` is cycles beyond the compute cycles.
    """

    cycles: int
    compute_cycles: int
    bound: str
    utilization: float
    energy_by_component_pj: dict[str, float]
    dram_read_bits: int
    dram_write_bits: int

    @property
    def energy_pj(self) -> float:
        """The sum over components."""
        return sum(self.energy_by_component_pj.values())

    @property
    def dram_bits(self) -> int:
        """Bits read from and written to DRAM."""
        return self.dram_read_bits + self.dram_write_bits
