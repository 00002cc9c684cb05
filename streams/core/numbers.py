"""Numbers in few bytes: counts are small, most bins are empty.

One stream of tokens for a column of float64. A byte below 0xE0 is that number; 0xE0 to 0xEF begin
two bytes for numbers below 4320; 0xF0 is followed by a whole number of four bytes, 0xF1 by the
eight bytes of any float64, 0xF2 by how many zeros come in a row. Everything is little-endian, and
every number comes back to the bit.
"""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ByteArray = NDArray[np.uint8]

_PAIR, _WORD, _FLOAT, _ZEROS = 0xE0, 0xF0, 0xF1, 0xF2
_FIRST_WORD = _PAIR + 16 * 256
_MOST_BYTES = 9
_LEAST_RUN = 3


@kernel
def _pack(values: FloatArray, out: ByteArray) -> int:
    """Write tokens; ``out`` holds nine bytes per value.

    Returns the bytes that were written.
    """
    bits = values.view(np.uint64)
    size, at, count = 0, 0, len(values)
    while at < count:
        raw = bits[at]
        if raw == np.uint64(0):
            run = 1
            while run < 255 and at + run < count and bits[at + run] == np.uint64(0):
                run += 1
            if run >= _LEAST_RUN:
                out[size] = _ZEROS
                out[size + 1] = run
                size += 2
                at += run
                continue
            out[size] = 0
            size += 1
            at += 1
            continue
        value = values[at]
        at += 1
        if value > 0.0 and value < 4294967296.0 and value == np.floor(value):
            whole = np.int64(value)
            if whole < _PAIR:
                out[size] = whole
                size += 1
                continue
            if whole < _FIRST_WORD:
                whole -= _PAIR
                out[size] = _PAIR + (whole >> 8)
                out[size + 1] = whole & 0xFF
                size += 2
                continue
            out[size] = _WORD
            for i in range(4):
                out[size + 1 + i] = (whole >> (8 * i)) & 0xFF
            size += 5
            continue
        out[size] = _FLOAT
        for i in range(8):
            out[size + 1 + i] = np.uint8((raw >> np.uint64(8 * i)) & np.uint64(0xFF))
        size += 9
    return size


@kernel
def _unpack(data: ByteArray, out: FloatArray) -> int:
    """Read tokens until ``out`` is full.

    Returns the bytes that were read; -1 when they are not what :func:`_pack` writes.
    """
    bits = out.view(np.uint64)
    size, at, count = len(data), 0, 0
    while count < len(out):
        if at >= size:
            return -1
        token = np.int64(data[at])
        at += 1
        if token < _PAIR:
            out[count] = token
            count += 1
        elif token < _WORD:
            if at >= size:
                return -1
            out[count] = _PAIR + ((token - _PAIR) << 8) + np.int64(data[at])
            at += 1
            count += 1
        elif token == _WORD:
            if at + 4 > size:
                return -1
            whole = np.int64(0)
            for i in range(4):
                whole |= np.int64(data[at + i]) << (8 * i)
            out[count] = whole
            at += 4
            count += 1
        elif token == _FLOAT:
            if at + 8 > size:
                return -1
            raw = np.uint64(0)
            for i in range(8):
                raw |= np.uint64(data[at + i]) << np.uint64(8 * i)
            bits[count] = raw
            at += 8
            count += 1
        elif token == _ZEROS:
            if at >= size or count + np.int64(data[at]) > len(out):
                return -1
            for _ in range(data[at]):
                out[count] = 0.0
                count += 1
            at += 1
        else:
            return -1
    return at


@kernel
def _lay_out(cells: IntArray, keys: IntArray, sums: FloatArray, out: FloatArray) -> None:
    """Write pairs per cell, steps from key to key and sums, one after the other."""
    size = len(keys)
    first = len(out) - 2 * size
    out[:first] = 0.0
    last = np.int64(0)
    for i in range(size):
        out[cells[i]] += 1.0
        out[first + i] = keys[i] - last
        last = keys[i]
        out[first + size + i] = sums[i]


@kernel
def _take_up(laid: FloatArray, cells: IntArray, keys: IntArray) -> bool:
    """Read rows and keys of what :func:`_lay_out` wrote; False when it cannot have."""
    size = len(keys)
    count = len(laid) - 2 * size
    at = 0
    for cell in range(count):
        pairs = laid[cell]
        if not (pairs >= 0.0 and pairs <= size - at):
            return False
        for _ in range(np.int64(pairs)):
            cells[at] = cell
            at += 1
    key = 0.0
    for i in range(size):
        key += laid[count + i]
        keys[i] = np.int64(key)
    return at == size


def lay_out(cells: IntArray, keys: IntArray, sums: FloatArray, count: int) -> FloatArray:
    """Lay sums by (cell, key), in this order, out as one column of small numbers.

    >>> lay_out(np.array([0, 0, 2]), np.array([7, 9, 8]), np.array([1.0, 2.0, 3.0]), 3).tolist()
    [2.0, 0.0, 1.0, 7.0, 2.0, -1.0, 1.0, 2.0, 3.0]
    """
    out = np.empty(count + 2 * len(keys))
    _lay_out(cells, keys, sums, out)
    return out


def take_up(laid: FloatArray, count: int) -> tuple[IntArray, IntArray, FloatArray]:
    """Read cells, keys and sums of ``count`` cells back.

    Raises:
        ValueError: the cells have not as many pairs as there are.
    """
    size = (len(laid) - count) // 2
    cells, keys = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    if not _take_up(laid, cells, keys):
        raise ValueError(f"the pairs of {count} cells are not {size}")
    return cells, keys, laid[count + size :]


def pack_numbers(values: FloatArray) -> bytes:
    """Write numbers; shape [n], contiguous.

    >>> pack_numbers(np.array([3.0, 0.0, 0.0, 0.0, 300.0])).hex()
    '03f203e04c'
    """
    out = np.empty(_MOST_BYTES * len(values), dtype=np.uint8)
    return out[: _pack(values, out)].tobytes()


def unpack_numbers(data: bytes, count: int) -> FloatArray:
    """Read numbers back; shape [count].

    Raises:
        ValueError: the bytes do not hold so many numbers, or hold more.
    """
    # No token stands for more numbers than a run of zeros, so no count can ask for endless memory.
    if not 0 <= count <= 128 * len(data):
        raise ValueError(f"{len(data)} bytes cannot hold {count} numbers")
    out = np.empty(count)
    if _unpack(np.frombuffer(data, np.uint8), out) != len(data):
        raise ValueError(f"{len(data)} bytes do not hold {count} numbers")
    return out
