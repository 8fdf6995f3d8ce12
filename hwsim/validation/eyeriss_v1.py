"""Eyeriss, the 65 nm chip: 18 CONV layers of AlexNet and VGG-16 as measured at 1.0 V, 200 MHz.

**Mappings.** AlexNet runs under Table III. CONV3's printed parameters make 69.2 MB of GLB accesses
where Table V has 50.2; q, r, t = 3, 2, 2, those of CONV4, make 50.2. CONV3 is shown under both.

VGG-16's mappings were not published. One rule finds them, with no constant that belongs to a layer:

1. A row of more than 128 ofmap columns is cut into equal pieces.
2. p t divides m, m divides K, q r divides C, n divides N.
3. Psums and ifmaps of a pass lie in the GLB's 25 banks of 4 kB, each tensor in whole banks, and
   with them VGG-16's filters, whose traffic its GLB bytes contain; AlexNet's filters lie in the two
   filter banks.
4. A pass takes several images only where a strip is the whole ofmap.
5. Strips wider than the array fold onto further rows of PEs and leave none to sets of other
   channels: r = 1.
6. At least 90 % of the most PEs that any choice keeps active are active.
7. Of what is left: the fewest DRAM words, maps coded at the network's mean share of zeros, images
   not coded; then the fewest GLB words; then the most active PEs.

The rule was inferred from VGG-16's active PEs, GLB bytes and DRAM bytes, which therefore count as
fitted; its latencies and powers took no part. As a check, applied to AlexNet, it gives Table III's
very parameters for CONV1, 3, 4 and 5 (CONV3's as printed), and for CONV2 two images of 32 filters a
pass where the table has one of 64.

**Bytes.** VGG-16's GLB bytes come out to the printed digit if a megabyte is 2^20 bytes and filters
count on their way to the PEs; AlexNet's if it is 10^6 and filters do not count. DRAM bytes are
those of the chip's code at the published shares of zeros, and up to 6 % too many: strips fetch
again the rows that they share, and padding is coded as if it held no more zeros than the map. Zeros
of ofmaps that are pooled before anyone reads them come from CNNergy; CONV1's from the paper's own
remark that coding saves nearly 30 % of its maps.

**Latency.** Nothing is fitted. Every pass waits for its filters, four a cycle, and for its first
ifmap window, one word a cycle. Then it takes as long as the arithmetic, the ifmap bus or the psum
bus, four words a cycle each way, whichever is longest, and ends when its last psums have left. The
psum bus bounds VGG-16 up to CONV4: 13 rows of 112 columns for 32 filters fill 23 of the 25 banks,
one is left for a single ifmap channel and one for filters, so that every pass reads and writes all
psums again. `engine_processing_ms` is what the event-driven engine makes of the same passes. It
names the psum bus as what the PEs stand for, three quarters of the time in CONV1-2, and adds in
CONV3 what sums over a layer cannot see: full strips wait for that bus, ragged ones do not. Total
latency adds the DRAM transfers of maps, while which the array stands; filters come in beside the
arithmetic. AlexNet's CONV5 is printed faster than CONV4 by more than its third fewer MACs under the
same mapping; no schedule of equal passes can match both.

**Power.** Two parameters are fitted on AlexNet's five powers: a factor of 2.10 on what
`hwsim.technology` gives the multiply-add and the two pads that zero gating spares, and a clock of
737 pJ a cycle. VGG-16's powers are predicted. CONV1-1 is furthest off: its array works an eighth of
the time, and the chip then draws more than the fitted clock. `pe_power_saved_percent` is what
gating spares of the PEs' power over AlexNet's five layers; the paper does not say on which data it
was measured.
"""

from collections.abc import Iterator
from dataclasses import replace

from hwsim.cost import Cost
from hwsim.engine import run
from hwsim.hardware import Accelerator, load_machine
from hwsim.validate import Fitted, Row, Target
from hwsim.validation._eyeriss_chip import (
    NETWORKS,
    ChipLayer,
    chip_layers,
    latency_ms,
    power_mw,
    tables,
)

TARGETS = (
    Target(quantity="active_pes", each=0.0),
    Target(quantity="glb_bytes", each=0.02, exceptions=1),
    Target(quantity="dram_bytes", network="alexnet", each=0.05),
    Target(quantity="dram_bytes", network="vgg16", each=0.10),
    Target(quantity="processing_ms", mean=0.05, each=0.10),
    Target(quantity="engine_processing_ms", mean=0.05, each=0.10),
    Target(quantity="total_ms", each=0.10),
    Target(quantity="power_mw", network="alexnet", mean=0.10),
    Target(quantity="power_mw", network="vgg16", mean=0.10),
)

VGG16_BYTES = "VGG-16: active PEs, GLB bytes and DRAM bytes"
UNSEEN_BY_RULE = "VGG-16: latencies and powers; AlexNet: Table III"
FITTED = (
    Fitted(
        constant="factor on the energies of multiply-add, weight pad and psum pad",
        value="2.098",
        fitted_on="AlexNet: five powers",
        checked_on="VGG-16: thirteen powers; what gating spares",
    ),
    Fitted(
        constant="clock energy a cycle, pJ",
        value="737.3",
        fitted_on="AlexNet: five powers",
        checked_on="VGG-16: thirteen powers",
    ),
    Fitted(
        constant="mapping rule: longest row of psums, columns",
        value="128 (any of 112 to 223 gives the same)",
        fitted_on=VGG16_BYTES,
        checked_on=UNSEEN_BY_RULE,
    ),
    Fitted(
        constant="mapping rule: least share of the most active PEs",
        value="0.9 (any of 0.86 to 0.92 gives the same)",
        fitted_on=VGG16_BYTES,
        checked_on=UNSEEN_BY_RULE,
    ),
    Fitted(
        constant="bytes in a published GLB megabyte; whether filters count",
        value="AlexNet 10^6, no; VGG-16 2^20, yes",
        fitted_on="each network's GLB bytes",
        checked_on="nothing: two readings for two tables",
    ),
)

INFERRED_FROM_VGG16 = ("active_pes", "glb_bytes", "dram_bytes")


def rows() -> Iterator[Row]:
    """Six quantities a layer, CONV3 twice, and what zero gating saves."""
    machine = load_machine("eyeriss_v1")
    for network in NETWORKS:
        for chip in chip_layers(network):
            yield from _layer_rows(chip, machine)
            if (network, chip.name) == ("alexnet", also()["layer"]):
                yield from _layer_rows(_as_table_v(chip), machine)
    yield _gating_row(machine)


def also() -> dict[str, int | str]:
    """The layer whose printed mapping contradicts its results, and the parameters that do not."""
    found: dict[str, int | str] = tables()["also"]
    return found


def _as_table_v(chip: ChipLayer) -> ChipLayer:
    other = {key: also()[key] for key in "qrt"}
    listed = ", ".join(str(value) for value in other.values())
    return replace(chip, name=f"{chip.name} with q, r, t = {listed}", row=chip.row | other)


def _layer_rows(chip: ChipLayer, machine: Accelerator) -> Iterator[Row]:
    source = tables()["tables"][chip.network]["results"]
    for quantity, (measured, simulated) in _quantities(chip, machine).items():
        yield Row(
            machine="eyeriss_v1",
            network=chip.network,
            layer=chip.name,
            quantity=quantity,
            published=measured,
            simulated=simulated,
            source=source,
            fitted=_fitted(chip, quantity),
        )


def _fitted(chip: ChipLayer, quantity: str) -> bool:
    """Whether a parameter or a mapping was chosen by looking at a layer's number."""
    if chip.network == "vgg16":
        return quantity in INFERRED_FROM_VGG16
    alternative = chip.name not in {each.name for each in chip_layers("alexnet")}
    return quantity == "power_mw" or (alternative and quantity == "glb_bytes")


def _quantities(chip: ChipLayer, machine: Accelerator) -> dict[str, tuple[float, float]]:
    """(published, simulated) by quantity."""
    row, found = chip.row, chip.cost(machine)
    played = run([(chip.layer, chip.mapping(machine))], machine, trace=False).processing_cycles
    return {
        "active_pes": (row["active_pes"], chip.mapping(machine).active_pes(chip.layer)),
        "glb_bytes": (chip.published_glb_bytes, chip.glb_bytes(machine)),
        "dram_bytes": (chip.published_dram_bytes, found.dram_bits / 8),
        "processing_ms": (row["processing_ms"], latency_ms(found.processing_cycles, machine)),
        "engine_processing_ms": (row["processing_ms"], latency_ms(played, machine)),
        "total_ms": (row["total_ms"], latency_ms(found.cycles, machine)),
        "power_mw": (row["power_mw"], power_mw(found, machine)),
    }


def _gating_row(machine: Accelerator) -> Row:
    ungated = machine.model_copy(
        update={"mac": machine.mac.model_copy(update={"zero_gating": False})}
    )
    with_gating, without = (
        sum(_pe_pj(chip.cost(each)) for chip in chip_layers("alexnet"))
        for each in (machine, ungated)
    )
    return Row(
        machine="eyeriss_v1",
        network="alexnet",
        layer="all",
        quantity="pe_power_saved_percent",
        published=tables()["pe_power_saved_by_gating_percent"],
        simulated=100 * (1 - with_gating / without),
        source="JSSC 2017 Sec. V",
    )


def _pe_pj(found: Cost) -> float:
    return found.energy_by_component_pj["MAC"] + found.energy_by_component_pj["spad"]
