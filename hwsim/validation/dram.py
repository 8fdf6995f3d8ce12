"""Energy of a DRAM bit, against DRAMsim3.

hwsim charges every bit of a kind of DRAM the same energy, taken from other publications; nothing is
fitted on these numbers. DRAMsim3 counts the devices' own energy from their currents, so that a
stream of open rows and random rows, each opened for one burst, differ by a factor of about two.
hwsim knows no rows.

The constants of LPDDR4 and HBM2, the kinds that recent machines name, lie 18 % below the stream and
between stream and random traffic. Those of LPDDR and DDR3 are two to seven times DRAMsim3's: what
they hold beyond the devices (channel, termination, idle power) cannot be told from the table that
states them, and LPDDR's part is of a later generation than its source. Energies of machines that
name different kinds are to be compared with that in mind.
"""

from collections.abc import Iterator

from hwsim.technology import dram_pj_per_bit
from hwsim.validate import Row, published


def rows() -> Iterator[Row]:
    """Each part under streaming and under random traffic, in pJ a bit."""
    table = published("dram")
    for part in table["parts"]:
        for traffic in ("stream", "random"):
            yield Row(
                machine="dramsim3",
                network="saturated traffic",
                layer=f"{part['part'].split('_')[0]} {traffic}",
                quantity="dram_pj_per_bit",
                published=part[traffic],
                simulated=dram_pj_per_bit(part["kind"]),
                source=f"{table['source']}: {part['part']}",
            )
