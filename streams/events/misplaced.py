"""Notice producers that write to other partitions than the join expects.

Kafka's clients do not agree on how a key chooses its partition. Predictions and feedback that are
partitioned differently never meet, and nothing else would say so.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from streams.events.columns import Bools, Ints
from streams.events.ids import Ids
from streams.events.partitioner import partition_for
from streams.wire import Chunk

SAMPLE = 16

NO_KEY = (
    "records without a key are spread at random: set the record key to the prediction id (UTF-8)"
)
OTHER_KEY = (
    "records are keyed by something else than the prediction id: set the record key to the "
    "prediction id (UTF-8); for batches, split them by partition"
)
CRC32 = (
    "records are partitioned by CRC32, librdkafka's default: set partitioner=murmur2_random in the "
    "producer's configuration"
)
FNV1A = (
    "records are partitioned by FNV-1a, the default of Sarama: give the producer a murmur2 "
    "partitioner (librdkafka: partitioner=murmur2_random)"
)
UNEXPLAINED = (
    "records are not on the murmur2 partition of their prediction id: check the producer's "
    "partitioner, and that the topic's number of partitions was never changed"
)

_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193
_MASK = 0xFFFFFFFF


def check(
    rows: Sequence[tuple[str, bytes | None, bool]], partition: int, partitions: int
) -> tuple[int, str | None]:
    """Check a sample of rows against the partition that they were read from.

    Args:
        rows: prediction id, record key and whether the record is a batch.
        partition: where the rows were read.
        partitions: how many partitions the topic has.

    Returns:
        How many rows are misplaced, and what the producer should change (None when all is well).
    """
    wrong = []
    for one, key, batch in rows:
        if partition_for(one.encode(), partitions) != partition:
            wrong.append((one.encode(), key, batch))
    if not wrong:
        return 0, None
    # A record that is placed by its own key tells how: several other explanations are ruled out.
    if all(key is None for _, key, _ in wrong):
        return len(wrong), NO_KEY
    if any(key not in {None, one} and not batch for one, key, batch in wrong):
        return len(wrong), OTHER_KEY
    keys = [key for _, key, _ in wrong if key is not None]
    if all(_crc32(key, partitions) == partition for key in keys):
        return len(wrong), CRC32
    if all(_fnv1a(key, partitions) == partition for key in keys):
        return len(wrong), FNV1A
    if all(partition_for(key, partitions) == partition for key in keys):
        return len(wrong), OTHER_KEY
    return len(wrong), UNEXPLAINED


def _crc32(key: bytes, partitions: int) -> int:
    """Place a key as librdkafka's ``consistent`` partitioners do."""
    return zlib.crc32(key) % partitions


def _fnv1a(key: bytes, partitions: int) -> int:
    """Place a key as Sarama's hash partitioner and librdkafka's ``fnv1a`` do."""
    state = _FNV_OFFSET
    for byte in key:
        state = ((state ^ byte) * _FNV_PRIME) & _MASK
    signed = state - (1 << 32) if state >> 31 else state
    return abs(signed) % partitions


def sample_placement(
    ids: Ids, record: Ints, batched: Bools, chunk: Chunk, partitions: int | None
) -> tuple[int, str | None]:
    """Check a few evenly spread rows for their partition; see ``check``."""
    if partitions is None or partitions < 2 or not len(ids):
        return 0, None
    chosen = np.unique(np.linspace(0, len(ids) - 1, SAMPLE).astype(np.int64)).tolist()
    packed, origin = chunk.packed, record[chosen]
    keys = packed.spell(packed.key_at[origin], packed.key_size[origin])
    rows = [(ids[i], key, bool(batched[i])) for i, key in zip(chosen, keys, strict=True)]
    return check(rows, chunk.partition, partitions)
