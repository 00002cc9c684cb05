"""Record batches become columns that say what aiokafka's own reader says."""

import random
import struct
import zlib
from collections.abc import Iterable
from typing import Any

import pytest
from aiokafka.codec import snappy_encode
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from edge.batches import CODECS, TP, Batch, Record, by_aiokafka, joined, logs, marker, sealed
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.edge.raw import PackedRecords, RawRecords
from streams.wire import Chunk


def reader(
    data: bytes, start: int = 0, aborted: Iterable[tuple[int, int]] = (), *, check_crcs: bool = True
) -> PackedRecords:
    return PackedRecords(
        TP, RawRecords(data), aborted, start, None, None, check_crcs, READ_COMMITTED
    )


def take_all(records: PackedRecords, limit: int = 1_000_000) -> tuple[list[Record], int]:
    found: list[Record] = []
    while not records.exhausted:
        before = records.next_fetch_offset
        packed = records.take(limit)
        assert len(packed) <= limit
        chunk = Chunk.of("predictions", 0, packed)
        found += zip(
            chunk.offsets, chunk.timestamps, chunk.keys, chunk.values, chunk.headers, strict=True
        )
        assert all(before <= o < records.next_fetch_offset for o in chunk.offsets)
        assert not packed.data.flags.writeable
    return found, records.next_fetch_offset


def plain(n: int, codec: int = 0, base: int = 0) -> Batch:
    records = tuple(
        (i, 1_000 + i, b"key-%d" % i, b"value-%d-" % i * 9, (("trace", b"%d" % i),))
        for i in range(n)
    )
    return Batch(base, records, codec=codec)


@settings(max_examples=150)
@given(logs(), st.data())
def test_any_log_reads_as_aiokafka_reads_it_from_any_offset(
    log: tuple[list[Batch], list[tuple[int, int]]], data: Any
) -> None:
    batches, aborted = log
    start = data.draw(st.integers(batches[0].base, batches[-1].behind - 1))
    sent = [batch for batch in batches if batch.behind > start]  # as the broker cuts it
    payload = joined(sent)
    cut = data.draw(st.sampled_from((0, 1, 30, 61, 80)))
    payload += plain(3, base=sent[-1].behind).encode()[:cut]  # an incomplete batch at the end
    limit = data.draw(st.sampled_from((1, 3, 1_000)))
    assert take_all(reader(payload, start, aborted), limit) == by_aiokafka(payload, start, aborted)


@given(logs())
def test_batches_before_the_fetch_offset_are_left_out(
    log: tuple[list[Batch], list[tuple[int, int]]],
) -> None:
    batches, aborted = log
    everything, _ = by_aiokafka(joined(batches), 0, aborted)
    middle = batches[len(batches) // 2].base
    found, end = take_all(reader(joined(batches), middle, aborted))
    assert found == [record for record in everything if record[0] >= middle]
    assert end == max(batches[-1].behind, middle)


def test_whole_batches_come_together_up_to_the_limit_and_larger_ones_are_cut() -> None:
    sizes, batches, base = (4, 5, 3, 25, 1, 1), [], 0
    for size in sizes:
        batches.append(plain(size, codec=size % 5, base=base))
        base += size
    records = reader(joined(batches))
    taken = []
    while not records.exhausted:
        taken.append(len(records.take(10)))
    assert taken == [9, 3, 10, 10, 5, 2]


def test_an_aborted_transaction_moves_the_position_and_brings_nothing() -> None:
    aborted = Batch(5, plain(3).records, producer=7, transactional=True)
    records = reader(joined([aborted, marker(8, 7, abort=True)]), 5, [(7, 5)])
    assert len(records.take(100)) == 0
    assert records.next_fetch_offset == 9
    assert records.exhausted


def test_markers_are_skipped_and_aborted_records_kept_when_uncommitted_ones_are_wanted() -> None:
    batch = Batch(0, plain(3).records, producer=7, transactional=True)
    records = PackedRecords(
        TP, RawRecords(joined([batch, marker(3, 7, abort=True)])), [(7, 0)], 0, None, None, True, 0
    )
    assert take_all(records)[1] == 4
    assert len(take_all(reader(joined([batch, marker(3, 7, abort=False)])))[0]) == 3


@pytest.mark.parametrize(
    ("magic", "codec"), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3)]
)
def test_older_formats_read_as_aiokafka_reads_them_even_before_newer_ones(
    magic: int, codec: int
) -> None:
    builder = LegacyRecordBatchBuilder(magic, codec, 1 << 20)
    for i in range(5):
        builder.append(i, timestamp=1_000 + i, key=b"k%d" % i, value=b"v" * (i + 1))
    old, new = bytes(builder.build()), plain(4, base=5).encode()
    # aiokafka takes all batches of a fetch for the format of the first: it reads them one by one.
    expected = [
        (offset, -1 if timestamp is None else timestamp, *rest)
        for offset, timestamp, *rest in by_aiokafka(old, 0)[0] + by_aiokafka(new, 5)[0]
        if offset >= 2
    ]
    assert [record[0] for record in expected] == list(range(2, 9))
    for limit in (1, 3, 100):
        assert take_all(reader(old + new, 2), limit) == (expected, 9)


@pytest.mark.parametrize("codec", CODECS)
def test_a_flipped_bit_is_told_or_does_no_harm(codec: int) -> None:
    good = [plain(6, codec, 0), plain(6, codec, 6)]
    expected, _ = by_aiokafka(joined(good), 0)
    payload = joined(good)
    second = len(good[0].encode())
    told = 0
    for at in range(second, len(payload)):
        if at - second < 8:
            continue  # the first offset of a batch has no checksum
        damaged = bytearray(payload)
        damaged[at] ^= 1 << at % 8
        records = reader(bytes(damaged))
        try:
            found = take_all(records, 6)[0]
        except CorruptRecordException as error:
            told += "t, partition 3, from offset 6 on" in str(error)
            continue
        assert found in (expected, expected[:6])
    assert told > (len(payload) - second) * 0.9


@pytest.mark.parametrize("codec", CODECS)
def test_without_checksums_damage_never_reads_outside_the_data(codec: int) -> None:
    chance = random.Random(codec)
    payload = joined([plain(6, codec, 0), plain(30, codec, 6)])
    for _ in range(1_500):
        damaged = bytearray(payload)
        for _ in range(chance.choice((1, 1, 2, 8))):
            damaged[chance.randrange(17, len(damaged))] = chance.choice((0, 1, 127, 128, 255))
        records = reader(bytes(damaged), check_crcs=False)
        try:
            while not records.exhausted:
                packed = records.take(10)
                end = len(packed.data)
                for at, size in (
                    (packed.key_at, packed.key_size),
                    (packed.value_at, packed.value_size),
                ):
                    assert (at >= 0).all()
                    assert (at + size.clip(0) <= end).all()
                    assert (size >= -1).all()
                assert (packed.offsets[1:] > packed.offsets[:-1]).all()
                assert all(isinstance(h, tuple) for h in packed.headers.values())
        except (CorruptRecordException, UnsupportedCodecError):
            continue


def test_what_comes_before_a_damaged_batch_is_taken_first() -> None:
    bad = bytearray(plain(4, base=4).encode())
    bad[-1] ^= 1
    records = reader(plain(4).encode() + bytes(bad))
    assert len(records.take(100)) == 4
    assert records.next_fetch_offset == 4
    assert not records.exhausted
    for _ in range(2):
        with pytest.raises(CorruptRecordException, match="wrong checksum"):
            records.take(100)


def test_what_comes_before_a_damaged_record_is_taken_first() -> None:
    bad = bytearray(plain(4, base=4).encode())
    bad[61] ^= 0x10  # the length of the first record
    records = reader(plain(4).encode() + sealed(bad))
    assert len(records.take(100)) == 4
    assert records.next_fetch_offset == 4
    for _ in range(2):
        with pytest.raises(CorruptRecordException, match="a record from offset 4 on"):
            records.take(100)


@pytest.mark.parametrize("count", [-1, 3, 5, 1 << 30])
def test_a_wrong_number_of_records_is_told(count: int) -> None:
    bad = bytearray(plain(4).encode())
    struct.pack_into(">i", bad, 57, count)
    with pytest.raises(CorruptRecordException, match="damaged data"):
        reader(sealed(bad)).take(100)


@pytest.mark.parametrize("length", [-1, -13, 0, 5, 20, 48])
def test_a_batch_shorter_than_its_header_is_told(length: int) -> None:
    bad = bytearray(plain(4).encode())
    struct.pack_into(">i", bad, 8, length)
    assert RawRecords(bytes(bad)).has_next()
    with pytest.raises(CorruptRecordException):
        reader(bytes(bad)).take(100)


def test_an_unknown_codec_is_named() -> None:
    bad = bytearray(plain(4).encode())
    bad[22] |= 6
    with pytest.raises(UnsupportedCodecError, match="codec 6"):
        reader(sealed(bad)).take(100)


def test_bytes_without_a_whole_batch_have_no_next() -> None:
    whole = plain(2).encode()
    assert RawRecords(whole).has_next()
    assert RawRecords(whole).size_in_bytes() == len(whole)
    for cut in (0, 5, 12, 60, len(whole) - 1):
        assert not RawRecords(whole[:cut]).has_next()


def recoded(batch: Batch, codec: int, body: bytes) -> bytes:
    data = bytearray(batch.encode()[:61] + body)
    data[22] |= codec
    struct.pack_into(">i", data, 8, len(data) - 12)
    return sealed(data)


def test_both_ways_of_framing_snappy_are_understood() -> None:
    batch = plain(2_000)
    body = batch.encode()[61:]
    assert len(body) > 100_000
    expected, _ = by_aiokafka(batch.encode(), 0)
    for xerial in (True, False):
        framed = recoded(batch, 2, snappy_encode(body, xerial))
        assert take_all(reader(framed))[0] == expected


def test_gzip_of_several_members_is_read_to_its_end() -> None:
    batch = plain(20)
    body = batch.encode()[61:]
    packer = [zlib.compressobj(wbits=31) for _ in range(2)]
    halves = (body[:100], body[100:])
    members = b"".join(p.compress(h) + p.flush() for p, h in zip(packer, halves, strict=True))
    assert take_all(reader(recoded(batch, 1, members)))[0] == by_aiokafka(batch.encode(), 0)[0]


def test_headers_are_found_by_record_and_missing_for_others() -> None:
    records = ((0, 1, b"k", b"v", ()), (1, 1, b"k", b"v", (("a", b"1"), ("b", None))))
    packed = reader(Batch(0, records).encode()).take(10)
    assert list(packed.headers.items()) == [(1, records[1][4])]
    assert len(packed.headers) == 1
    assert 0 not in packed.headers
    assert packed.headers.get(5, ()) == ()
    alone: list[Any] = list(Chunk.of("predictions", 0, packed).alone(1).headers)
    assert alone == [records[1][4]]
