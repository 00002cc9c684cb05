"""From decoded chunks to slices: the records of one tick and source."""

from dataclasses import dataclass

import numpy as np

from streams.core.ticks import Slice, cut
from streams.events.columns import FeedbackRows, PredictionRows
from streams.events.intake import Decoded
from streams.events.reasons import Rejected
from streams.wire import Chunk


@dataclass(slots=True)
class Fed:
    """Records of one tick and source.

    Attributes:
        rows: the accepted rows.
        rejected: rows that go into quarantine.
        chunk: the records that ``rejected`` refers to; None when there are none.
    """

    rows: PredictionRows | FeedbackRows
    rejected: list[Rejected]
    chunk: Chunk | None


def slices_of(
    chunk: Chunk,
    decoded: Decoded[PredictionRows] | Decoded[FeedbackRows],
    carry: int,
    tick_ms: int,
    floor: int,
) -> list[Slice[Fed]]:
    """Cut a chunk where its ticks end.

    A record belongs to the tick of the clock once all its rows are counted in, so that none is cut
    in two.

    Args:
        chunk: the records.
        decoded: what became of them.
        carry: the clock before the chunk.
        tick_ms: length of a tick.
        floor: first tick that is open.
    """
    rows = decoded.rows
    offsets = np.array(chunk.offsets, dtype=np.int64)
    record = np.searchsorted(offsets, rows.offset)
    # A record without rows leaves the clock as it was.
    clock = np.full(len(offsets), carry, dtype=np.int64)
    clock[record] = rows.clock
    clock = np.maximum.accumulate(clock)
    ticks = np.maximum(clock // tick_ms, floor)
    rejected = np.array([one.record for one in decoded.rejected], dtype=np.int64)
    slices = []
    for start, stop in cut(ticks):
        low, high = np.searchsorted(record, (start, stop)).tolist()
        bad_low, bad_high = np.searchsorted(rejected, (start, stop)).tolist()
        behind = chunk.offsets[stop] if stop < len(offsets) else chunk.offsets[-1] + 1
        bad = decoded.rejected[bad_low:bad_high]
        fed = Fed(rows.slice(low, high), bad, chunk if bad else None)
        slices.append(
            Slice(
                int(ticks[start]),
                chunk.offsets[start],
                behind,
                int(clock[stop - 1]),
                high - low + len(bad),
                fed,
            )
        )
    return slices
