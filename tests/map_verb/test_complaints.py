"""A line for each thing that is wrong."""

from pathlib import Path

import pytest

from tests.map_verb.asking import SMALL, Invoke, complaints, saved


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--layer", "K=8 M=4"], "--layer: M = '4': unknown key"),
        (["--layer", SMALL, "--stride", "two"], "--layer: stride_h = 'two': must be a whole"),
        (["--layer", SMALL, "--bits", "weights=4"], "weights_bits = '4': unknown key; did you"),
        (["--layer", f"{SMALL} stride=2", "--stride", "2"], "stride = '2': given twice"),
        (["--layer", SMALL, "--bits", "32"], "ifmap of 32 bits is wider than the 16-bit MACs"),
        (["--layer", SMALL, "--machine", "eyeris_v1"], "did you mean 'eyeriss_v1'?"),
        (["--layer", SMALL, "--machine", "mine/chip.yaml"], "mine/chip.yaml: cannot be read"),
        (["--layer", SMALL, "--objective", "power"], "objective = 'power': Input should be 'ene"),
        (["--layer", SMALL, "--max-cycles", "0"], "max_cycles = "),
        (["--layer", SMALL, "--budget-s", "-1"], "budget_s = "),
        (["--layer", SMALL, "--effort", "-1"], "effort = "),
        (["--layer", SMALL, "--effort", "5", "--mapping", "x"], "does not go with --mapping"),
        (
            ["--layer", SMALL, "--effort", "5", "--dataflow", "no_local_reuse"],
            "does not go with --effort",
        ),
        (["--layer", SMALL, "--samples", "0"], "samples = "),
        (["--layer", SMALL, "--dataflow", "free"], "dataflow = 'free': Input should be 'row_st"),
        (["--layer", SMALL, "--export", "maestro"], "export.0 = 'maestro': Input should be 'tim"),
        (["--layer", SMALL, "--constraints", "gone.yaml"], "gone.yaml: cannot be read"),
        (["--layer", SMALL, "--front", "--max-cycles", "9"], "does not go with --front"),
        (["--layer", SMALL, "--mapping", "x", "--budget-s", "9"], "does not go with --mapping"),
        (["--layer", SMALL, "--batch", "2"], "batch = "),
        (["--layer", "conv2", "--network", "alexnett"], "did you mean 'alexnet'?"),
        (["--layer", "conv22", "--network", "alexnet"], "did you mean 'conv2'?"),
        (["--layer", "conv2", "--network", "alexnet", "--pad", "1"], "does not go with --network"),
        (["--layer", SMALL, "--dataflow", "input_stationary"], "exclude every mapping"),
        (
            ["--layer", SMALL, "--machine", "systolic_ws", "--dataflow", "output_stationary"],
            "dataflow = 'output_stationary': the PEs of systolic_ws cannot keep any ofmap",
        ),
    ],
)
def test_one_clear_line(invoke: Invoke, arguments: list[str], said: str) -> None:
    (found,) = complaints(invoke(*arguments))
    assert said in found


def test_a_dataflow_is_named_once(invoke: Invoke) -> None:
    rules = saved({"dataflow": "row_stationary"})
    (found,) = complaints(
        invoke("--layer", SMALL, "--constraints", rules, "--dataflow", "no_local_reuse")
    )
    assert found == "--dataflow: mine.yaml names row_stationary"


def test_results_below_a_file(invoke: Invoke) -> None:
    Path("file").write_text("kept", encoding="utf-8")
    (found,) = complaints(invoke("--layer", SMALL, "--out", "file/inside"))
    assert found.startswith("file/inside: ")


def test_a_layer_is_needed(invoke: Invoke) -> None:
    result = invoke("--machine", "eyeriss_v1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--layer" in result.stderr


def test_help_states_the_padding(invoke: Invoke) -> None:
    said = " ".join(invoke("--help").stdout.split())
    assert "H = (P-1) stride + (R-1) dilation + 1 - 2 pad" in said
    assert "0 unless given" in said
