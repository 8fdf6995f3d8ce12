"""The trained networks of `benchmarks.compression`, and the images that they are measured on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from compressors import Data, frozen
from data import cifar10, fashion_mnist, image_folder
from data._dataset import Dataset
from hwsim import registry
from hwsim.accuracy import top1
from hwsim.errors import InputError
from models._weights import find_weights, load_weights

SHARED = Path("../shared/data")


@dataclass(frozen=True)
class Subject:
    """A trained network and images; it is fine-tuned where `tunes` says so."""

    name: str
    model: nn.Module
    testing: Data
    training: Data
    calibration: Data
    tunes: bool

    def accuracy(self, model: nn.Module) -> float:
        """Top-1 in per cent."""
        labels = self.testing.labels
        assert labels is not None
        return 100 * top1(frozen(model), self.testing.images, labels)

    @cached_property
    def before(self) -> float:
        """Top-1 of the network as it is, in per cent."""
        return self.accuracy(self.model)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where images and weights come from, and how many images to take.

    `tests` of the test images and `trains` of the training images, or `all_trains` for the few
    methods of which most is expected; methods run with `seeds` seeds and those that train only
    where `trained`; a row may take `cap_s` seconds of a processor.
    """

    images: Callable[[int], Dataset]
    tests: int
    trains: int
    weights: Path | None = None
    all_trains: int
    seeds: int = 1
    trained: bool = False
    tunes: bool = True
    cap_s: int = 300


def fashion(tests: int) -> Dataset:
    """Fashion-MNIST with its training images."""
    return fashion_mnist.load(limit=tests, training=True)


def cifar(tests: int) -> Dataset:
    """CIFAR-10 with its lossless training images."""
    return cifar10.load(SHARED / "cifar10", limit=tests, training=True)


def imagenet(tests: int) -> Dataset:
    """ImageNet images scaled by its mean and deviation; labelled images to learn from."""
    return _imagenet(tests, scaling="imagenet")


def imagenet_symmetric(tests: int) -> Dataset:
    """ImageNet images scaled to -1 ... 1; labelled images to learn from."""
    return _imagenet(tests, scaling="symmetric")


def _imagenet(tests: int, *, scaling: image_folder.Scaling) -> Dataset:
    others = SHARED / "imagenet" / "calibration"
    return image_folder.load(
        SHARED / "imagenet" / "val",
        limit=tests,
        calibration_folder=others,
        calibration_images=128,
        training_folder=others,
        scaling=scaling,
    )


SOURCES: dict[str, Source] = {
    "lenet_300_100_fashion": Source(
        images=fashion, tests=10_000, trains=12_000, all_trains=59_488, seeds=3, trained=True
    ),
    "lenet5_fashion": Source(
        images=fashion, tests=10_000, trains=12_000, all_trains=24_000, seeds=3, trained=True
    ),
    "mobilenet_v1_fashion": Source(
        images=fashion, tests=2_000, trains=3_000, all_trains=6_000, seeds=3, trained=True
    ),
    "resnet20_fashion": Source(
        images=fashion, tests=2_000, trains=3_000, all_trains=6_000, seeds=3, trained=True
    ),
    "resnet20_cifar10": Source(
        images=cifar,
        tests=500,
        trains=1_500,
        all_trains=1_500,
        weights=SHARED / "nets/resnet20-12fca82f.th",
        tunes=False,
    ),
    "resnet56_cifar10": Source(
        images=cifar,
        tests=500,
        trains=1_500,
        all_trains=1_500,
        weights=SHARED / "nets/resnet56-4bfd9763.th",
        tunes=False,
    ),
    "mobilenet_v2": Source(images=imagenet, tests=200, trains=372, all_trains=372, tunes=False),
    "efficientnet_lite0": Source(
        images=imagenet_symmetric, tests=200, trains=372, all_trains=372, tunes=False
    ),
}


# Of networks that other benchmarks measure.
ELSEWHERE = Source(images=fashion, tests=10_000, trains=59_488, all_trains=59_488)


def weights_of(name: str) -> Path | None:
    """Where a network's trained weights lie; None where they are absent."""
    path = SOURCES.get(name, ELSEWHERE).weights or find_weights(registry.module("network", name))
    return path if path and path.is_file() else None


def present() -> list[str]:
    """The networks whose weights and images are here."""
    return [
        name
        for name, source in SOURCES.items()
        if weights_of(name) and (source.images is fashion or SHARED.is_dir())
    ]


def subject(name: str, trains: int, *, tests: int | None = None) -> Subject:
    """A network with its images, `trains` of which to learn from, and `tests` to test on if not as
    many as its source says.

    Raises InputError where weights or images are absent.
    """
    source, file = SOURCES.get(name, ELSEWHERE), registry.module("network", name)
    model: nn.Module = file.build()
    path = weights_of(name)
    if path is None:
        raise InputError(f"network {name!r}: has no trained weights here")
    load_weights(model, path)
    found = source.images(tests or source.tests)
    assert found.training is not None
    return Subject(
        name,
        model.eval(),
        Data(images=found.images, labels=found.labels),
        Data(images=found.training, labels=found.training_labels).first(trains),
        Data(images=found.calibration),
        source.tunes,
    )
