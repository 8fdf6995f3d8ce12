"""The data sets: what ships equals its source, and folders of images are read as stated."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from data import _make_fashion_mnist, fashion_mnist, image_folder
from data._dataset import Dataset
from hwsim.errors import InputError
from tests.complaints import refused

IMAGENET = Path(__file__).parents[2] / "shared" / "data" / "imagenet"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.fixture(scope="module")
def fashion() -> Dataset:
    return fashion_mnist.load()


def test_fashion_mnist_is_what_networks_expect(fashion: Dataset) -> None:
    assert fashion.images.shape == (10_000, 1, 32, 32)
    assert fashion.images.dtype == torch.float32
    assert fashion.calibration.shape == (512, 1, 32, 32)
    assert fashion.calibration.dtype == torch.float32
    assert fashion.labels.dtype == torch.int64
    assert torch.bincount(fashion.labels).tolist() == [1000] * 10  # the authors' class balance


def test_fashion_mnist_is_standardised_inside_a_black_border(fashion: Dataset) -> None:
    inside = fashion.images[:, :, 2:-2, 2:-2]
    assert abs(float(inside.mean())) < 0.01
    assert abs(float(inside.std()) - 1) < 0.01
    border = fashion.images.clone()
    border[:, :, 2:-2, 2:-2] = fashion.images.min()
    assert (border == fashion.images.min()).all()


def test_fashion_mnist_calibration_holds_no_test_image(fashion: Dataset) -> None:
    tested = {image.numpy().tobytes() for image in fashion.images}
    assert not any(image.numpy().tobytes() in tested for image in fashion.calibration)


def test_fashion_mnist_is_the_original() -> None:
    source = _make_fashion_mnist.SOURCE
    if not source.is_dir():
        pytest.skip(f"{source} is absent (Debian package dataset-fashion-mnist)")
    arrays = fashion_mnist.read_archive(fashion_mnist.ARCHIVE)
    images, labels = _make_fashion_mnist.read_split(source, "t10k")
    train, classes = _make_fashion_mnist.read_split(source, "train")
    np.testing.assert_array_equal(arrays["images"], images)
    np.testing.assert_array_equal(arrays["labels"], labels)
    np.testing.assert_array_equal(arrays["calibration"], train[0 : 117 * 512 : 117])
    np.testing.assert_array_equal(arrays["calibration_labels"], classes[0 : 117 * 512 : 117])


def test_fashion_mnist_in_part(fashion: Dataset) -> None:
    part = fashion_mnist.load(limit=7, calibration_images=3)
    assert part.images.equal(fashion.images[:7])
    assert part.labels.equal(fashion.labels[:7])
    assert part.calibration.equal(fashion.calibration[:3])
    assert part.calibration_labels is not None
    assert part.calibration_labels.tolist() == [9, 4, 2]


@pytest.mark.parametrize("count", [-1, 0, 10_001])
def test_fashion_mnist_counts_are_checked(count: int) -> None:
    with pytest.raises(InputError, match=f"limit: expected 1 to 10000, found {count}"):
        fashion_mnist.load(limit=count)
    with pytest.raises(InputError, match="calibration_images: expected 1 to 512"):
        fashion_mnist.load(calibration_images=count)


def test_archives_have_no_time_in_them(tmp_path: Path) -> None:
    arrays = {"images": np.arange(24, dtype=np.uint8).reshape(2, 3, 4)}
    content = _make_fashion_mnist.archive_bytes(arrays)
    assert content == _make_fashion_mnist.archive_bytes(arrays)
    (tmp_path / "some.npz").write_bytes(content)
    np.testing.assert_array_equal(np.load(tmp_path / "some.npz")["images"], arrays["images"])


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.npz"
    refused(lambda: fashion_mnist.read_archive(path), f"{path}: no such file")
    whole = fashion_mnist.ARCHIVE.read_bytes()
    for content in (b"", b"no archive", whole[:1000], whole[: len(whole) // 2]):
        path.write_bytes(content)
        refused(lambda: fashion_mnist.read_archive(path), f"{path}: not a readable")
    path.write_bytes(_make_fashion_mnist.archive_bytes({"images": np.zeros(3, np.uint8)}))
    refused(lambda: fashion_mnist.read_archive(path), f"{path}: not a readable")


def idx_bytes(values: list[int]) -> bytes:
    """A two-row IDX file of unsigned bytes."""
    return b"\0\0\x08\x02" + bytes([0, 0, 0, 2, 0, 0, 0, len(values) // 2]) + bytes(values)


def test_idx_files_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "some-idx2-ubyte"
    path.write_bytes(idx_bytes([1, 2, 3, 4, 5, 6]))
    assert _make_fashion_mnist.read_idx(path).tolist() == [[1, 2, 3], [4, 5, 6]]
    path.write_bytes(idx_bytes([1, 2, 3, 4])[:-1])
    refused(lambda: _make_fashion_mnist.read_idx(path), f"{path}: expected [2, 2] bytes, found 3")
    path.write_bytes(b"")
    refused(lambda: _make_fashion_mnist.read_idx(path), f"{path}: not an IDX file")
    packed = tmp_path / "some.gz"
    packed.write_bytes(b"not gzip")
    refused(lambda: _make_fashion_mnist.read_idx(packed), f"{packed}: not a readable file")
    refused(
        lambda: _make_fashion_mnist.read_idx(tmp_path / "x.gz"), f"{tmp_path / 'x.gz'}: no such"
    )


def write_originals(folder: Path, *, images: int) -> None:
    """Training files of images whose every pixel, and whose label, says which image it is."""
    folder.mkdir()
    numbers = np.arange(images)
    pixels = np.repeat(numbers, 28 * 28).astype(np.uint8).tobytes()
    sizes = [n.to_bytes(4, "big") for n in (images, 28, 28)]
    (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + b"".join(sizes) + pixels)
    labels = (numbers % 10).astype(np.uint8).tobytes()
    (folder / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + sizes[0] + labels)


def test_fashion_mnist_trains_on_what_calibrates_nothing(tmp_path: Path) -> None:
    write_originals(tmp_path / "originals", images=240)
    read = fashion_mnist.load(limit=1, training_folder=tmp_path / "originals")
    assert read.training is not None
    assert read.training_labels is not None
    assert read.training.shape == (237, 1, 32, 32)
    found = (read.training[:, 0, 9, 9] * fashion_mnist.STD + fashion_mnist.MEAN) * 255
    expected = [image for image in range(240) if image not in (0, 117, 234)]
    assert found.round().int().tolist() == expected
    assert read.training_labels.tolist() == [image % 10 for image in expected]


def test_fashion_mnist_reads_no_training_images_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "read_split", None)
    read = fashion_mnist.load(limit=1)
    assert read.training is None
    assert read.training_labels is None


def test_fashion_mnist_says_where_training_images_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = tmp_path / "nowhere"
    complaint = f"fashion_mnist: training_folder = {str(nowhere)!r}: no such folder; install Debian"
    refused(lambda: fashion_mnist.load(training_folder=nowhere), complaint)
    monkeypatch.setattr(fashion_mnist, "SOURCE", nowhere)
    refused(lambda: fashion_mnist.load(training=True), complaint)


def test_fashion_mnist_real_training_images() -> None:
    if not _make_fashion_mnist.SOURCE.is_dir():
        pytest.skip(
            f"{_make_fashion_mnist.SOURCE} is absent (Debian package dataset-fashion-mnist)"
        )
    read = fashion_mnist.load(training=True)
    assert read.training is not None
    assert read.training_labels is not None
    assert len(read.training) == len(read.training_labels) == 60_000 - 512
    some = read.training[::50, :, 2:-2, 2:-2]
    assert float(some.mean()) == pytest.approx(0, abs=0.05)
    assert float(some.std()) == pytest.approx(1, abs=0.05)


def draw(path: Path, *, size: tuple[int, int] = (224, 224), colour: int = 0) -> None:
    """Write an image of one colour: `colour` red, 2 x `colour` green, 100 blue."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (colour, 2 * colour, 100)).save(path)


def prepared(colour: int) -> Tensor:
    """The normalised value of each channel of such an image."""
    pixels = torch.tensor([colour, 2 * colour, 100]) / 255
    return (pixels - torch.tensor(MEAN)) / torch.tensor(STD)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A folder of six PNG images with a table of labels; image i has colour i and label 10 i."""
    rows = ["file,label"]
    for index in range(6):
        draw(tmp_path / "val" / f"image{index}.png", colour=index)
        rows.append(f"image{index}.png,{10 * index}")
    (tmp_path / "val" / "labels.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "val"


def test_images_follow_the_table(table: Path) -> None:
    read = image_folder.load(table, calibration_images=2)
    assert read.labels.tolist() == [10, 20, 40, 50]  # 0 and 3 are held out to calibrate on
    assert read.images.shape == (4, 3, 224, 224)
    assert read.images.dtype == torch.float32
    for image, colour in zip(read.images, (1, 2, 4, 5), strict=True):
        torch.testing.assert_close(image[:, 100, 50], prepared(colour))
    torch.testing.assert_close(read.calibration[1, :, 0, 0], prepared(3))


def test_images_are_scaled_as_tensorflow_does(table: Path) -> None:
    read = image_folder.load(table, calibration_images=5, limit=1, scaling="symmetric")
    torch.testing.assert_close(read.images[0, :, 7, 9], (torch.tensor([5, 10, 100]) - 127) / 128)


def test_a_limit_spreads_over_the_table(table: Path) -> None:
    read = image_folder.load(table, calibration_images=2, limit=2)
    assert read.labels.tolist() == [10, 40]
    assert len(image_folder.load(table, calibration_images=2, limit=999).labels) == 4


def test_calibration_from_another_folder(table: Path, tmp_path: Path) -> None:
    for index in range(4):
        draw(tmp_path / "other" / f"{index}.jpeg", colour=50 + index)
    (tmp_path / "other" / "notes.txt").write_text("no image")
    read = image_folder.load(
        table, calibration_folder=tmp_path / "other", calibration_images=2, limit=6
    )
    assert read.labels.tolist() == [0, 10, 20, 30, 40, 50]
    assert read.calibration.shape == (2, 3, 224, 224)
    torch.testing.assert_close(read.calibration[1, :, 9, 9], prepared(52), atol=0.03, rtol=0)


def test_sub_folders_are_classes_in_sorted_order(tmp_path: Path) -> None:
    for name in ("dog", "cat", "emu"):
        for index in range(2):
            draw(tmp_path / name / f"{index}.JPG")
    labelled = image_folder.labelled_images(tmp_path, classes=3)
    assert [(image.path.parent.name, image.label) for image in labelled] == [
        ("cat", 0),
        ("cat", 0),
        ("dog", 1),
        ("dog", 1),
        ("emu", 2),
        ("emu", 2),
    ]
    refused(
        lambda: image_folder.labelled_images(tmp_path, classes=2),
        f"{tmp_path}: expected 2 classes, found 3",
    )


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((227, 240), (227, 240)),
        ((512, 1024), (256, 512)),
        ((300, 260), (295, 256)),
        ((112, 100), (251, 224)),
    ],
)
def test_crops_come_from_the_centre(size: tuple[int, int], resized: tuple[int, int]) -> None:
    ramp = np.linspace(0, 250, size[0])[None, :, None] * np.ones((size[1], 1, 3))
    cropped = np.asarray(image_folder.crop_centre(Image.fromarray(ramp.astype(np.uint8))))
    assert cropped.shape == (224, 224, 3)
    lost = 250 * (1 - 224 / resized[0]) / 2
    assert abs(cropped[0, 0, 0] - lost) < 3
    assert abs(250 - cropped[-1, -1, 0] - lost) < 3


def test_grey_and_transparent_images_become_colour(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P", "CMYK"):
        path = tmp_path / ("image.jpg" if mode == "CMYK" else "image.png")
        Image.new(mode, (230, 225)).save(path)
        assert image_folder.read_image(path).shape == (3, 224, 224)


def test_missing_folders_tables_and_images_are_named(table: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    refused(lambda: image_folder.load(nowhere), f"{nowhere}: no such folder")
    refused(
        lambda: image_folder.load(table, calibration_folder=nowhere), f"{nowhere}: no such folder"
    )
    (tmp_path / "empty").mkdir()
    refused(
        lambda: image_folder.load(tmp_path / "empty"),
        f"{tmp_path / 'empty'}: expected labels.csv or one sub-folder per class",
    )
    (table / "image4.png").unlink()
    refused(
        lambda: image_folder.load(table, calibration_images=1),
        f"{table / 'image4.png'}: no such image",
    )


def test_unreadable_images_are_named(table: Path) -> None:
    damaged = table / "image4.png"
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    Image.fromarray(noise).save(damaged)
    for content in (b"", b"no image", damaged.read_bytes()[:5000]):
        damaged.write_bytes(content)
        refused(
            lambda: image_folder.load(table, calibration_images=1),
            f"{damaged}: not a readable image",
        )


@pytest.mark.parametrize("label", ["1000", "-1", "2.5", "tench", "", "³"])
def test_labels_outside_the_classes_are_named(table: Path, label: str) -> None:
    (table / "labels.csv").write_text(f"file,label\nimage0.png,3\nimage1.png,{label}\n")
    refused(
        lambda: image_folder.load(table, calibration_images=1),
        f"{table / 'labels.csv'}: line 3: label = {label!r}: expected an integer in 0 ... 999",
    )


def test_tables_saved_by_spreadsheets_are_read(table: Path) -> None:
    (table / "labels.csv").write_bytes(b"\xef\xbb\xbflabel,file\r\n\r\n7,image0.png\r\n")
    labelled = image_folder.labelled_images(table, classes=8)
    assert labelled == [(table / "image0.png", 7)]


def test_malformed_tables_are_named(table: Path) -> None:
    listing = table / "labels.csv"
    for content, complaint in (
        (b"name,label\nimage0.png,1\n", "file: no such column"),
        (b"", "file: no such column"),
        (b"file,label\n\xff\xfe,1\n", "not a readable table"),
    ):
        listing.write_bytes(content)
        refused(lambda: image_folder.load(table), f"{listing}: {complaint}")


def test_counts_beyond_the_folder_are_refused(table: Path) -> None:
    refused(
        lambda: image_folder.load(table, calibration_images=7),
        f"{table}: calibration_images: expected 1 to 6 images, found 7",
    )
    refused(
        lambda: image_folder.load(table, calibration_images=6),
        f"{table}: limit: expected 1 to 0 images, found 0",
    )
    refused(
        lambda: image_folder.load(table, calibration_images=1, limit=-2),
        f"{table}: limit: expected 1 to 5 images, found -2",
    )


def test_real_images_load() -> None:
    if not IMAGENET.is_dir():
        pytest.skip(f"{IMAGENET} is absent")
    read = image_folder.load(
        IMAGENET / "val",
        limit=8,
        calibration_folder=IMAGENET / "calibration",
        calibration_images=4,
    )
    assert read.images.shape == (8, 3, 224, 224)
    assert read.calibration.shape == (4, 3, 224, 224)
    assert abs(float(read.images.mean())) < 1
    assert len(set(read.labels.tolist())) > 4


def test_training_images_come_from_a_folder_of_their_own(table: Path, tmp_path: Path) -> None:
    for label, name in enumerate(("cat", "dog")):
        for index in range(3):
            draw(tmp_path / "more" / name / f"{index}.png", colour=60 + 10 * label + index)
    more = tmp_path / "more"
    read = image_folder.load(table, training_folder=more, training_images=2, calibration_images=1)
    assert read.training is not None
    assert read.training_labels is not None
    assert read.training_labels.tolist() == [0, 1]
    torch.testing.assert_close(read.training[1, :, 5, 5], prepared(70))
    assert image_folder.load(table, calibration_images=1).training is None


def test_training_images_serve_no_other_end(table: Path) -> None:
    refused(
        lambda: image_folder.load(table, calibration_images=1, limit=2, training_folder=table),
        f"{table}: training_images: expected 1 to 0 images, found 0",
    )
