"""A code's payload as bytes, and its header as JSON."""

from math import prod
from typing import Any

import numpy as np
import torch

from compressors.codes._code import Code, Parts, Stream, code_of_parts
from hwsim.bitstream import fields, to_bits, to_unsigned
from hwsim.errors import InputError

Header = dict[str, Any]


def header(code: Code) -> Header:
    """What, with the payload, makes the code again."""
    parts = code.parts
    return {
        "kind": code.kind,
        "shape": list(code.shape),
        "settings": dict(parts.settings),
        "streams": {name: [len(s.symbols), s.width] for name, s in parts.streams.items()},
        "tables": {name: list(table.shape) for name, table in parts.tables.items()},
    }


def payload(code: Code) -> bytes:
    """`ceil(code.bits() / 8)` bytes: the tables, then the streams, without gaps between."""
    tables = [table.contiguous().numpy().astype("<f4") for table in code.parts.tables.values()]
    streams = [to_bits(s.symbols.numpy(), s.width).ravel() for s in code.parts.streams.values()]
    packed = np.packbits(np.concatenate([*streams, np.zeros(0, np.uint8)]), bitorder="little")
    return b"".join(table.tobytes() for table in tables) + packed.tobytes()


def code_of_bytes(found: Header, data: bytes) -> Code:
    """The code that `header` and `payload` wrote. Raises InputError where the sizes differ."""
    words = sum(prod(shape) for shape in found["tables"].values())
    bits = sum(count * width for count, width in found["streams"].values())
    if len(data) != 4 * words + -(-bits // 8):
        raise InputError(
            f"{len(data)} bytes: the code's header asks for {4 * words + -(-bits // 8)}"
        )
    tables = np.frombuffer(data, "<f4", words)
    stream = np.unpackbits(np.frombuffer(data, np.uint8, offset=4 * words), bitorder="little")
    parts = Parts(found["settings"], {}, {})
    named_tables, named_streams, at = {}, {}, 0
    for name, shape in found["tables"].items():
        taken = tables[at : at + prod(shape)].copy()
        named_tables[name] = torch.from_numpy(taken).reshape(shape)
        at += prod(shape)
    at = 0
    for name, (count, width) in found["streams"].items():
        symbols = to_unsigned(fields(stream[at : at + count * width], count, width))
        named_streams[name] = Stream(torch.from_numpy(symbols), width)
        at += count * width
    parts = Parts(found["settings"], named_streams, named_tables)
    return code_of_parts(found["kind"], tuple(found["shape"]), parts)
