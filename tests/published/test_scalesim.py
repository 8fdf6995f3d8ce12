"""SCALE-Sim's own results, to the digit, and the layers that it makes of real networks."""

import csv
from pathlib import Path

import pytest

from hwsim.systolic import Gemm, SystolicArray, gemm, systolic_cost
from hwsim.validate import published, rows
from hwsim.workload import Layer

REFERENCE = Path(__file__).parents[3] / "shared/reference/peers/scalesim_v3_32x32.csv"
TABLE = published("scalesim")


def test_every_number_is_equal() -> None:
    """70 runs of SCALE-Sim 3.0.0 with five numbers each; nothing is fitted."""
    found = list(rows(["scalesim"]))
    print(f"largest error {max(abs(row.error) for row in found)} of {len(found)} numbers")
    assert len(found) == 350
    assert all(row.simulated == row.published for row in found)


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference table is not there")
def test_the_table_is_the_reference() -> None:
    """Copied without a slip, and its mapping efficiency comes out too."""
    columns = ("total_cycles", "overall_util_pct", "sram_ifmap_reads", "sram_filter_reads")
    for line in csv.DictReader(REFERENCE.read_text(encoding="utf-8").splitlines()):
        where, layer = (line["dataflow"], line["net"]), line["layer"]
        numbers = [float(line[key]) for key in (*columns, "sram_ofmap_writes")]
        assert TABLE["results"][where[0]][where[1]][layer] == numbers
        problem = Gemm(**TABLE["layers"][where[1]][layer])
        assert problem == Gemm(**{key: int(line[key]) for key in "MNK"})
        cost = systolic_cost(problem, SystolicArray(rows=32, columns=32, dataflow=where[0]))
        assert 100 * cost.mapping_efficiency == pytest.approx(float(line["mapping_eff_pct"]))


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_the_default_leaves_out_what_is_wrong(dataflow: str) -> None:
    """A cycle more, no bubbles written, psums read back; the rest as SCALE-Sim has it."""
    array = SystolicArray(rows=32, columns=32, dataflow=dataflow)
    for network, layers in TABLE["results"][dataflow].items():
        for layer, (cycles, _, ifmap, filters, ofmap) in layers.items():
            problem = Gemm(**TABLE["layers"][network][layer])
            cost = systolic_cost(problem, array)
            outputs = problem.M * problem.N
            assert (cost.cycles, cost.sram_ifmap_reads) == (cycles + 1, ifmap)
            assert cost.sram_filter_reads == filters
            assert cost.sram_ofmap_writes == (outputs if dataflow == "os" else ofmap)
            assert cost.sram_psum_reads == cost.sram_ofmap_writes - outputs


@pytest.mark.parametrize(
    ("network", "layer"),
    [
        (
            "alexnet",
            Layer(name="Conv1", K=96, C=3, P=55, Q=55, R=11, S=11, stride_h=4, stride_w=4),
        ),
        (
            "alexnet",
            Layer(name="Conv2", G=2, K=128, C=48, P=27, Q=27, R=5, S=5, pad_h=2, pad_w=2),
        ),
        (
            "alexnet",
            Layer(name="Conv3", K=384, C=256, P=13, Q=13, R=3, S=3, pad_h=1, pad_w=1),
        ),
        (
            "mobilenet",
            Layer(name="Conv2", G=32, P=112, Q=112, R=3, S=3, pad_h=1, pad_w=1),
        ),
        (
            "mobilenet",
            Layer(
                name="Conv4",
                G=64,
                P=56,
                Q=56,
                H=112,
                W=112,
                R=3,
                S=3,
                stride_h=2,
                stride_w=2,
                pad_h=1,
                pad_w=1,
            ),
        ),
        ("mobilenet", Layer(name="Conv5", K=128, C=64, P=56, Q=56)),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_layers_become_its_products(network: str, layer: Layer) -> None:
    """AlexNet's and MobileNet's layers as published, padding and groups lost on the way."""
    assert gemm(layer, scalesim_compatible=True) == Gemm(**TABLE["layers"][network][layer.name])
