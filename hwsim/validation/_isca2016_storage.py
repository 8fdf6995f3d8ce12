"""Equal area for every dataflow (ISCA 2016): a smaller register file, a larger buffer.

The budget is that of the row-stationary machine, a 512 B register file a PE and a buffer of 512 B
for each PE. Areas are of a commercial 65 nm process.
"""

import numpy as np

WORD_BYTES = 2
BUDGET_BYTES = 512
PE_LOGIC_UM2 = 20_000.0
UM2_PER_BYTE = {
    2: 103.47,
    4: 172.07,
    8: 177.07,
    16: 169.89,
    32: 96.06,
    64: 59.15,
    128: 39.94,
    256: 27.48,
    512: 20.87,
    1024: 16.14,
    2048: 13.89,
    4096: 12.70,
}


def memory_um2(size_bytes: float) -> float:
    """Area of one memory; the area of a byte is interpolated, and constant beyond the table."""
    each = np.interp(size_bytes, list(UM2_PER_BYTE), list(UM2_PER_BYTE.values()))
    return float(size_bytes * each)


def storage_um2(pes: int) -> float:
    """The storage area that every dataflow has on a machine of so many PEs."""
    return pes * memory_um2(BUDGET_BYTES) + memory_um2(pes * BUDGET_BYTES)


def machine_um2(pes: int) -> float:
    """Storage and the PEs' logic."""
    return storage_um2(pes) + pes * PE_LOGIC_UM2


def buffer_bytes(pes: int, *, rf_bytes: int, storage: float | None = None) -> float:
    """The buffer that the area leaves beside register files of `rf_bytes` a PE.

    `storage` is the area in um2, by default that of the study at so many PEs. Buffers are taken to
    lie beyond the table, where the area of a byte is constant.
    """
    area = storage_um2(pes) if storage is None else storage
    return (area - pes * memory_um2(rf_bytes)) / UM2_PER_BYTE[max(UM2_PER_BYTE)]
