"""Event time of a chunk: what is too early, too late, and how far the partition's clock gets."""

import numpy as np

from streams.config.pipeline import LimitsConfig
from streams.events.columns import NO_CLOCK, Ints
from streams.events.reasons import Reason, Verdicts
from streams.events.records import Places
from streams.wire import Chunk


def timeline(
    ts: Ints,
    lateness: Ints | None,
    chunk: Chunk,
    places: Places,
    verdicts: Verdicts,
    limits: LimitsConfig,
    clock: int,
    now_ms: int,
) -> Ints:
    """Reject rows by their time and return the clock at each row.

    A row that is late is older than the clock, so it could not have moved it; one running maximum
    over all rows that are not rejected for another reason is therefore exact.

    Args:
        ts: event time of each row.
        lateness: ms that each row may be older than the clock; None for any.
        chunk: the records, for their broker timestamps.
        places: record of each row.
        verdicts: rejections so far; those for time are added.
        limits: how far events may be from now.
        clock: running maximum before the chunk.
        now_ms: wall clock, for records without a broker timestamp.

    Returns:
        Running maximum of accepted event times at each row, that row included.
    """
    clock = max(clock, NO_CLOCK)
    kept = places.kept(verdicts)
    stamps = chunk.packed.timestamps
    now = np.where(stamps > 0, stamps, now_ms)[places.record]
    ahead = kept & (ts > now + limits.max_future)
    if ahead.any():
        detail = "timestamp: ahead of the record by more than limits.max_future"
        verdicts.add_all(np.flatnonzero(ahead).tolist(), Reason.TIMESTAMP_FUTURE, detail)
        kept &= ~ahead
    if limits.max_age is not None:
        aged = kept & (ts < now - limits.max_age)
        if aged.any():
            detail = "timestamp: older than the record by more than limits.max_age"
            verdicts.add_all(np.flatnonzero(aged).tolist(), Reason.TIMESTAMP_PAST, detail)
            kept &= ~aged
    moving = np.where(kept, ts, NO_CLOCK)
    running = np.maximum.accumulate(np.concatenate([[clock], moving]))
    if lateness is not None:
        late = kept & (ts < running[:-1] - lateness)
        if late.any():
            detail = "timestamp: older than the stream by more than allowed_lateness"
            verdicts.add_all(np.flatnonzero(late).tolist(), Reason.LATE, detail)
    return running[1:]
