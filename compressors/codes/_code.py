"""What every code offers: its parts, from which bits are counted and bytes are written."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Any, Self

from torch import Tensor

from hwsim.workload import Primitive

FLOAT_BITS = 32
Settings = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Stream:
    """Symbols 0 to 2^width - 1, int64 of one axis, written `width` bits each."""

    symbols: Tensor
    width: int

    @property
    def bits(self) -> int:
        """Bits of all symbols."""
        return len(self.symbols) * self.width


@dataclass(frozen=True, eq=False)
class Parts:
    """All there is to a code: JSON-able settings, streams of symbols, tables of float32.

    Streams and tables are the payload, which `bits` counts and files hold byte by byte; settings
    are a header.
    """

    settings: Settings
    streams: Mapping[str, Stream] = field(default_factory=dict)
    tables: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def bits(self) -> int:
        """Bits of the payload."""
        tables = sum(table.numel() for table in self.tables.values()) * FLOAT_BITS
        return tables + sum(stream.bits for stream in self.streams.values())


class Code(ABC):
    """A tensor's representation. Codes are immutable; each kind is the file that bears its name.

    `decode(of(parts()))` is exact. `word_bits` is the width of the words that a MAC reads, None
    where it is what the layer's was; `primitive` is what a MAC becomes; `decoders` names what a
    memory needs in order to hold the tensor as the code does.
    """

    shape: tuple[int, ...]
    primitive: Primitive = Primitive.MULTIPLY_ADD
    decoders: tuple[str, ...] = ()

    @property
    def word_bits(self) -> int | None:
        """Bits of a word once decoded."""
        return None

    @property
    def terms(self) -> int:
        """Primitives that each MAC became."""
        return 1

    @abstractmethod
    def decode(self) -> Tensor:
        """The tensor, float32 of `shape`."""

    @abstractmethod
    def make_parts(self) -> Parts:
        """The settings and the payload, which `of` takes back."""

    @classmethod
    @abstractmethod
    def of(cls, shape: tuple[int, ...], parts: Parts) -> Self:
        """The code of these parts."""

    @cached_property
    def parts(self) -> Parts:
        """The settings and the payload."""
        return self.make_parts()

    @property
    def kind(self) -> str:
        """The name of the code's file."""
        return type(self).__module__.rpartition(".")[2]

    def bits(self) -> int:
        """Exact bits of the payload."""
        return self.parts.bits


class Elementwise(Code):
    """A code with symbols for every element, in C order.

    Zeros can be left out of one that `holds_zero`: there, symbol 0 of every stream decodes to zero.
    """

    @property
    def holds_zero(self) -> bool:
        """Whether symbols 0 stand for zero."""
        return True


def code_of_parts(kind: str, shape: tuple[int, ...], parts: Parts) -> Code:
    """The code of a kind, which is the name of its file."""
    code: Code = import_module(f"{__package__}.{kind}").CODE.of(shape, parts)
    return code


def inner_settings(inner: Code) -> Settings:
    """What a code that wraps another notes of it in its settings."""
    return {"kind": inner.kind, "settings": dict(inner.parts.settings)}


def inner_code(noted: Settings, shape: tuple[int, ...], parts: Parts) -> Code:
    """The wrapped code, of its own streams and tables."""
    own = Parts(noted["settings"], parts.streams, parts.tables)
    return code_of_parts(noted["kind"], shape, own)
