"""Number the distinct JSON scalars of columns, so that each is made an object only once."""

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.compiled import loop, signed
from streams.events.columns import MISSING, Coded
from streams.events.ids import PROCESS_KEY, sip_hash
from streams.events.labels import encode
from streams.events.names import same

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

_decode = msgspec.json.Decoder(list[str | int | float | bool | None]).decode


class Pool(NamedTuple):
    """Distinct tokens by column.

    Attributes:
        at: where each token begins in the buffer.
        size: bytes of each token.
        column: column of each token.
        code: number of each token in its column.
        table: open addressing over all tokens, at most half full: number of a token + 1, or 0.
        last: per column the token that was met last, -1 at first.
        counts: per column how many tokens there are; behind them their sum.
        key: key of the hash, two words.
    """

    at: Ints
    size: Ints
    column: Ints
    code: Ints
    table: Codes
    last: Ints
    counts: Ints
    key: NDArray[np.uint64]


def pool_of(columns: int, most: int) -> Pool:
    """Make a pool with room for so many tokens of all columns together."""
    places = np.empty((4, most), dtype=np.int64)
    table = np.zeros(1 << (2 * most + 1).bit_length(), dtype=np.int32)
    last = np.full(columns, -1, dtype=np.int64)
    counts = np.zeros(columns + 1, dtype=np.int64)
    return Pool(places[0], places[1], places[2], places[3], table, last, counts, PROCESS_KEY)


@loop
def intern(pool: Pool, data: Bytes, column: int, at: int, size: int) -> int:
    """Return the number of a token in its column."""
    token: int = pool.last[column]
    code: int
    if token >= 0 and pool.size[token] == size and same(data, pool.at[token], data, at, size):
        code = pool.code[token]
        return code
    mask = len(pool.table) - 1
    state = sip_hash(data, at, size, pool.key[0], pool.key[1])
    place = signed((state + np.uint64(column)) & np.uint64(mask))
    while pool.table[place]:
        token = signed(pool.table[place]) - 1
        if (
            pool.column[token] == column
            and pool.size[token] == size
            and same(data, pool.at[token], data, at, size)
        ):
            pool.last[column] = token
            code = pool.code[token]
            return code
        place = (place + 1) & mask
    total = len(pool.last)
    token = pool.counts[total]
    pool.counts[total] = token + 1
    pool.table[place] = token + 1
    pool.at[token] = at
    pool.size[token] = size
    pool.column[token] = column
    code = pool.counts[column]
    pool.code[token] = code
    pool.counts[column] = code + 1
    pool.last[column] = token
    return code


def decode_columns(pool: Pool, data: Bytes) -> list[Coded]:
    """Make canonical strings of all tokens, which have to be well-formed scalars.

    Returns:
        Per column the strings, and which of them each token is.
    """
    count = int(pool.counts[-1])
    view = memoryview(data.data)
    at, size = pool.at[:count].tolist(), pool.size[:count].tolist()
    tokens = [view[start : start + length] for start, length in zip(at, size, strict=True)]
    values: list[list[object]] = [[] for _ in pool.last]
    decoded = _decode(b"[" + b",".join(tokens) + b"]")
    for value, column in zip(decoded, pool.column[:count].tolist(), strict=True):
        values[column].append(value)
    return [encode(held) if held else Coded.absent(0) for held in values]


def spelled(column: Coded, codes: Codes) -> Coded:
    """Translate numbers of tokens to those of their canonical strings."""
    if not len(column.codes):
        return Coded([], codes)
    return Coded(column.values, np.append(column.codes, np.int32(MISSING))[codes])
