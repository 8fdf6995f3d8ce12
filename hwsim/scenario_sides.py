"""The parts of a scenario's file: the data, the side as it was, and the side after compression."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from hwsim import gallery, registry
from hwsim.config import Config
from hwsim.errors import UnknownNameError


def known(kind: str, names: Callable[[], list[str]] | None = None) -> AfterValidator:
    """Accepts the names of a kind, or those given; the complaint lists them and the nearest."""
    listed = names or partial(registry.names, kind)

    def check(name: str) -> str:
        found = listed()
        if name not in found:
            raise ValueError(UnknownNameError(kind=kind, name=name, known=found))
        return name

    return AfterValidator(check)


report_plots = partial(gallery.plots, "draw")  # the other plots draw something else
Positive = Annotated[int, Field(ge=1, le=10**9)]
NonEmpty = Annotated[str, Field(min_length=1)]


class DatasetChoice(Config):
    """A data set by name and what its `load` is to be given; what is left out takes its default.

    `training`: labelled images to train on, too; `jpeg`: those that lost detail, where more exist.
    Folders are relative to the scenario's own folder, or else to the working directory.
    """

    name: Annotated[str, known("data set")]
    folder: Path | None = None
    calibration_folder: Path | None = None
    calibration_images: Positive | None = None
    training: bool | None = None
    training_folder: Path | None = None
    training_images: Positive | None = None
    jpeg: bool | None = None
    scaling: Literal["imagenet", "symmetric"] | None = None
    limit: Positive | None = None

    def arguments(self) -> dict[str, Path | int | str]:
        """The keys that were given, for the data set's `load`."""
        return self.model_dump(exclude={"name"}, exclude_none=True)


class Planned(Config):
    """What `compressors.codesign.search` is asked: the least of `objective` within `budget`.

    `candidates` are steps by name, or the name of a set that ships; left out, the library's own.
    `costs`, a table in CSV, see `compressors.codesign.Table`, decides in place of the simulator,
    which then reports alone.
    So many of the test `images`, evenly spread, are those that the search judges by, and so many
    others those that `confirm` whole plans, where 0 leaves that to the first; accuracy is then
    reported on the rest. `rounds` composed networks are measured at most.
    """

    objective: Literal["energy", "latency", "edp", "accuracy"] = "energy"
    budget: dict[str, float]
    candidates: str | dict[str, list[dict[str, Any]]] | None = None
    costs: Path | None = None
    sensitivity: Literal["measured", "hessian", "output_error"] = "measured"
    images: Positive = 1000
    confirm: Annotated[int, Field(ge=0)] = 0
    rounds: Annotated[int, Field(ge=1, le=1000)] = 8


class Compressed(Config):
    """The compressed side, called `label` in reports.

    Either all layers get one `compressor`, of which `config` is the own record; or a `plan` says
    which steps each layer gets, see `compressors.Plan`; or a `search` chooses them. What comes of
    it is fine-tuned on labelled training images where `tune` says how, see `compressors.Fit`.
    """

    machine: NonEmpty
    compressor: Annotated[str, known("compressor")] | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    plan: dict[str, Any] | None = None
    search: Planned | None = None
    tune: dict[str, Any] | None = None
    label: NonEmpty

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for way in (self.compressor, self.plan, self.search)) != 1:
            raise ValueError("needs either a compressor, a plan or a search")
        if self.config and self.compressor is None:
            raise ValueError("config: belongs to a compressor; a plan holds its own")
        return self


class Baseline(Config):
    """The uncompressed side: every tensor `bits` wide, on `machine`.

    Its top-1 is that of the float32 network.
    """

    machine: NonEmpty
    bits: Annotated[int, Field(ge=2, le=16)] = 16

    @property
    def label(self) -> str:
        """What reports call this side."""
        return f"{self.bits}-bit"
