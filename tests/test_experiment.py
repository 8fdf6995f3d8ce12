"""A scenario from end to end: what its report holds, and that the same run gives the same bytes.

The golden report holds what the main job simulates, layer by layer. After a change that is meant,
`python -m tests.test_experiment` writes it anew.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from compressors import Data, compress, uniform
from data import fashion_mnist
from hwsim import gallery, registry
from hwsim.accuracy import one_thread, top1
from hwsim.errors import InputError
from hwsim.experiment import DENSITY_IMAGES, run
from hwsim.report import Report, read
from hwsim.scenario_file import Scenario, load_scenario
from models import mobilenet_v1_fashion
from models._weights import find_weights, load_weights

GOLDEN = Path(__file__).with_name("golden") / "mobilenet_int8.json"
# Zeros are counted in float32 sums, whose last bits differ between processors.
TOLERANCE = 1e-4
MAIN_JOB = "mobilenet_int8"


def small(folder: Path, **changes: object) -> Path:
    """The main job on the images whose zeros are counted, as a user's own file."""
    content: dict[str, Any] = yaml.safe_load(registry.yaml_path("scenario", MAIN_JOB).read_text())
    content["dataset"]["limit"] = DENSITY_IMAGES
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(content | changes), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The results of the same run, twice, layers mapped by one process and by two."""
    folder = tmp_path_factory.mktemp("experiment")
    scenario = load_scenario(str(small(folder)))
    for workers, name in enumerate(("first", "second"), start=1):
        run(scenario, out=folder / name, workers=workers)
    return folder / "first", folder / "second"


@pytest.fixture(scope="module")
def report(folders: tuple[Path, Path]) -> Report:
    return read(folders[0] / "report.json")


class TestReport:
    def test_holds_what_was_asked_for(self, folders: tuple[Path, Path]) -> None:
        content = json.loads((folders[0] / "report.json").read_text(encoding="utf-8"))
        layer_keys = {"name", "macs", "cycles", "energy_pj", "utilization"}
        for key in ("baseline", "compressed"):
            found = content[key]
            assert {"energy_pj", "cycles", "dram_bits", "top1", "layers"} <= found.keys()
            assert all("DRAM" in layer["energy_by_component_pj"] for layer in found["layers"])
            assert all(layer_keys <= layer.keys() for layer in found["layers"])

    def test_says_what_was_run(self, report: Report) -> None:
        assert (report.scenario, report.seed, report.images) == ("small", 0, DENSITY_IMAGES)
        assert report.baseline.machine == "eyeriss_v1"
        assert report.compressed.machine == "eyeriss_v1_int8"
        assert report.baseline.label == "16-bit"
        assert report.compressed.label == "int8"

    def test_macs_are_the_networks(self, report: Report) -> None:
        module = mobilenet_v1_fashion.build()
        macs = counted_macs(module, torch.zeros(1, *mobilenet_v1_fashion.INPUT_SHAPE))
        assert report.baseline.macs == report.compressed.macs == macs

    def test_bits_are_those_of_each_side(self, report: Report) -> None:
        assert report.baseline.ifmap_bits == report.baseline.weight_bits == (16,)
        assert report.compressed.ifmap_bits == report.compressed.weight_bits == (8,)

    def test_zeros_were_measured(self, report: Report) -> None:
        for _, side in report.sides:
            densities = [row.ifmap_density for row in side.layers if row.macs][1:]
            assert all(0 < density < 1 for density in densities)

    def test_fewer_bits_cost_less(self, report: Report) -> None:
        ratios = report.ratios
        assert ratios.energy
        assert ratios.dram
        assert ratios.energy > 1
        assert ratios.dram > 1

    def test_accuracy_is_that_of_the_networks(self, report: Report) -> None:
        found = fashion_mnist.load(limit=DENSITY_IMAGES)
        module = trained()
        plan = uniform(("fixed_point", {"weight_bits": 8, "activation_bits": 8}))
        with one_thread():
            small_net = compress(module, plan, data=Data(images=found.calibration))
        assert report.baseline.top1 == one_by_one(module, found.images, found.labels)
        assert report.compressed.top1 == one_by_one(small_net, found.images, found.labels)


def counted_macs(module: nn.Module, images: Tensor) -> int:
    """MACs by hooks on the layers that multiply."""
    macs = 0

    def count(layer: nn.Module, _: object, ofmap: Tensor) -> None:
        nonlocal macs
        weight = layer.weight
        assert isinstance(weight, Tensor)
        macs += ofmap.numel() * weight[0].numel()

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    module(images)
    return macs


def trained() -> nn.Module:
    module = mobilenet_v1_fashion.build()
    path = find_weights(mobilenet_v1_fashion)
    assert path
    load_weights(module, path)
    return module


def one_by_one(module: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Top-1 of single images, in the plainest way."""
    with torch.no_grad():
        hits = [
            int(module(image[None])[0].argmax()) == int(label)
            for image, label in zip(images, labels, strict=True)
        ]
    return sum(hits) / len(hits)


class TestRun:
    def test_the_same_run_gives_the_same_bytes(self, folders: tuple[Path, Path]) -> None:
        first, second = ({f.name: f.read_bytes() for f in folder.iterdir()} for folder in folders)
        assert first == second

    def test_files_are_complete_and_alone(self, folders: tuple[Path, Path]) -> None:
        plots = {f"{p}.{suffix}" for p in gallery.plots("draw") for suffix in ("png", "svg")}
        found = {path.name for path in folders[0].iterdir()}
        assert found == plots | {"report.json", "layers.csv", "plan.json"}

    def test_leaves_torch_as_it_was(self, tmp_path: Path) -> None:
        threads, state = torch.get_num_threads(), torch.random.get_rng_state()
        path = small(tmp_path, weights="gone.safetensors")
        with pytest.raises(InputError, match="gone"):
            run(load_scenario(str(path)), out=tmp_path / "out")
        assert torch.get_num_threads() == threads
        assert torch.equal(torch.random.get_rng_state(), state)
        assert not (tmp_path / "out").exists()


class TestLoad:
    def test_paths_are_those_beside_the_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "mine" / "w.pth").touch()
        (tmp_path / "elsewhere" / "w.pth").touch()
        monkeypatch.chdir(tmp_path / "elsewhere")
        small(tmp_path / "mine", weights="w.pth")
        found = load_scenario("../mine/small.yaml").weights
        assert found
        assert found.resolve() == tmp_path / "mine" / "w.pth"

    def test_or_else_in_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "w.pth").touch()
        monkeypatch.chdir(tmp_path)
        assert load_scenario(str(small(tmp_path / "mine", weights="w.pth"))).weights == Path(
            "w.pth"
        )

    def test_a_folder_never_hides_a_shipped_machine(self, tmp_path: Path) -> None:
        (tmp_path / "eyeriss_v1").mkdir()
        assert load_scenario(str(small(tmp_path))).baseline.machine == "eyeriss_v1"

    def test_a_machine_of_ones_own(self, tmp_path: Path) -> None:
        text = registry.yaml_path("machine", "eyeriss_v1").read_text(encoding="utf-8")
        (tmp_path / "chip.yaml").write_text(text, encoding="utf-8")
        path = small(tmp_path, baseline={"machine": "chip.yaml"})
        assert load_scenario(str(path)).baseline.machine == str(tmp_path / "chip.yaml")

    def test_what_is_given_replaces_what_the_file_says(self, tmp_path: Path) -> None:
        weights, images = tmp_path / "w.pth", tmp_path / "images"
        path = small(tmp_path, dataset={"name": "image_folder", "folder": "other"}, seed=3)
        found = load_scenario(str(path), weights=weights, images=images, seed=0, effort=9)
        assert (found.weights, found.dataset.folder, found.seed) == (weights, images, 0)
        assert (found.effort, load_scenario(str(path), images=images).effort) == (9, 0)


class TestKeepOnChip:
    @pytest.mark.slow
    def test_the_saving_is_over_the_plain_run(self, report: Report, tmp_path: Path) -> None:
        found = run(load_scenario(str(small(tmp_path))), out=tmp_path / "out", keep_on_chip=True)
        for (_, staying), (_, plain) in zip(found.sides, report.sides, strict=True):
            kept = staying.kept
            assert plain.kept is None
            assert kept
            assert kept.apart_energy_pj == pytest.approx(plain.energy_pj, rel=1e-12)
            assert kept.apart_latency_ms == pytest.approx(plain.latency_ms, rel=1e-12)
            assert kept.apart_dram_bits == plain.dram_bits
            assert staying.energy_pj * staying.cycles < plain.energy_pj * plain.cycles
            rows = {row.name: row for row in staying.layers}
            assert set(kept.ofmaps) < set(rows)
            assert all(rows[name].dram_write_bits == 0 for name in kept.ofmaps)

    def test_workers_are_refused(self, tmp_path: Path) -> None:
        scenario = load_scenario(str(small(tmp_path)))
        with pytest.raises(InputError, match=r"^workers = 2: keep_on_chip maps in one process$"):
            run(scenario, out=tmp_path / "out", workers=2, keep_on_chip=True)
        assert not (tmp_path / "out").exists()

    def test_an_effort_is_refused(self, tmp_path: Path) -> None:
        scenario = load_scenario(str(small(tmp_path)), effort=5)
        with pytest.raises(InputError, match=r"^effort = 5: keep_on_chip knows the dataflow's map"):
            run(scenario, out=tmp_path / "out", keep_on_chip=True)
        assert not (tmp_path / "out").exists()


class TestTop1:
    IMAGES = torch.eye(3).repeat(500, 1)
    LABELS = torch.tensor([0, 1, 1]).repeat(500)

    def test_counts_hits(self) -> None:
        assert top1(nn.Identity(), self.IMAGES, self.LABELS) == 2 / 3

    def test_progress_counts_images(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hwsim.accuracy.WORDS_AT_ONCE", 300)
        heard = []

        def progress(stage: str, done: int = 0, total: int = 0) -> None:
            heard.append((stage, done, total))

        top1(nn.Identity(), self.IMAGES, self.LABELS, stage="looking", progress=progress)
        assert heard == [("looking", done, 1500) for done in range(0, 1500, 100)]


@pytest.mark.slow
def test_16_bits_err_as_float32_does() -> None:
    """The ground on which the float32 network stands for the 16-bit baseline."""
    found = fashion_mnist.load()
    plan = uniform(("fixed_point", {"weight_bits": 16, "activation_bits": 16}))
    module = compress(trained(), plan, data=Data(images=found.calibration))
    float_top1 = top1(trained(), found.images, found.labels)
    assert abs(top1(module, found.images, found.labels) - float_top1) <= 0.0005


def test_scenario_schema_names_every_key() -> None:
    assert Scenario.model_json_schema()["additionalProperties"] is False


def simulated(report: Report) -> dict[str, Any]:
    """What the golden report keeps: what each layer costs on either side."""
    return {
        key: {
            row.name: {
                "cycles": row.cycles,
                "dram_bits": row.dram_bits,
                "energy_by_component_pj": row.energy_by_component_pj,
            }
            for row in side.layers
        }
        for key, side in report.sides
    }


def test_golden_report(report: Report) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    found = simulated(report)
    for key, layers in golden.items():
        assert list(found[key]) == list(layers)
        for name, layer in layers.items():
            energies = layer.pop("energy_by_component_pj")
            assert found[key][name].pop("energy_by_component_pj") == pytest.approx(
                energies, rel=TOLERANCE
            )
            assert found[key][name] == pytest.approx(layer, rel=TOLERANCE), f"{key} {name}"


def write_golden() -> None:
    """Simulates the main job and keeps what it costs."""
    with TemporaryDirectory() as folder:
        scenario = load_scenario(str(small(Path(folder))))
        found = run(scenario, out=Path(folder, "out"))
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(simulated(found), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_golden()
