"""A column of ids gives back what it was made of, and its hashes are SipHash-1-3."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.events.ids import PROCESS_KEY, Ids, hash_spans

MASK = (1 << 64) - 1


def siphash(data: bytes, k0: int, k1: int, compress: int = 1, finish: int = 3) -> int:
    v = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]

    def rounds(count: int) -> None:
        for _ in range(count):
            for a, b, c, d, left, right in ((0, 1, 2, 3, 13, 16), (2, 1, 0, 3, 17, 21)):
                v[a] = (v[a] + v[b]) & MASK
                v[c] = (v[c] + v[d]) & MASK
                v[b] = ((v[b] << left | v[b] >> (64 - left)) & MASK) ^ v[a]
                v[d] = ((v[d] << right | v[d] >> (64 - right)) & MASK) ^ v[c]
                v[a] = (v[a] << 32 | v[a] >> 32) & MASK

    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 0xFF])
    for i in range(0, len(padded), 8):
        word = int.from_bytes(padded[i : i + 8], "little")
        v[3] ^= word
        rounds(compress)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(finish)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def test_the_oracle_gives_the_vector_of_the_paper() -> None:
    key = bytes(range(16))
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    assert siphash(bytes(range(15)), k0, k1, 2, 4) == 0xA129CA6149BE45E5


@settings(deadline=None)
@given(st.lists(st.binary(max_size=70)), st.integers(0, MASK), st.integers(0, MASK))
def test_hashes_are_siphash_1_3(parts: Any, k0: Any, k1: Any) -> None:
    size = np.array([len(part) for part in parts], dtype=np.int64)
    data = np.frombuffer(b"".join(parts), np.uint8)
    out = np.empty(len(parts), dtype=np.int64)
    hash_spans(data, np.cumsum(size) - size, size, np.array([k0, k1], dtype=np.uint64), out)
    assert out.view(np.uint64).tolist() == [siphash(part, k0, k1) for part in parts]


@settings(deadline=None)
@given(st.lists(st.text(max_size=20)), st.data())
def test_a_column_gives_back_its_ids_however_it_is_cut_and_joined(ids: Any, data: Any) -> None:
    column = Ids.of(ids)
    assert list(column) == ids
    cut = data.draw(st.integers(0, len(ids)))
    joined = Ids.concat([column.slice(0, cut), column.slice(cut, len(ids))])
    assert list(joined) == ids
    assert joined.hashes.tolist() == column.hashes.tolist()
    index = np.array(data.draw(st.permutations(range(len(ids)))), dtype=np.int64)
    taken = column.take(index)
    assert list(taken) == [ids[i] for i in index]
    assert taken.joined().tobytes() == "".join(ids[i] for i in index).encode()


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=10))
def test_spans_anywhere_in_a_buffer_are_copied_out_of_it(ids: Any) -> None:
    encoded = [one.encode() for one in ids]
    apart = b"--".join(encoded)
    size = np.array([len(one) for one in encoded], dtype=np.int64)
    at = np.cumsum(size) - size + 2 * np.arange(len(ids))
    column = Ids.spans(np.frombuffer(apart, np.uint8), at, size)
    assert list(column) == ids
    assert [column.bytes_of(i) for i in range(len(ids))] == encoded
    assert len(column.data) == sum(map(len, encoded))
    k0, k1 = (int(word) for word in PROCESS_KEY)
    assert column.hashes.view(np.uint64).tolist() == [siphash(one, k0, k1) for one in encoded]
