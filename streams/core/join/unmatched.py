"""Records for whoever wants to know what could not be matched."""

import math
from collections.abc import Collection
from typing import Literal

from streams.events.columns import FeedbackRows
from streams.payloads import Unmatched, encode, join_id, rfc3339
from streams.wire import Output


class UnmatchedWriter:
    """Writes records for the unmatched topic.

    Args:
        partition: the join's partition.
        wanted: reasons that are published.
    """

    def __init__(self, partition: int, wanted: Collection[str]) -> None:
        self._partition = str(partition)
        self.wanted = frozenset(wanted)

    def truth(
        self,
        reason: Literal["late", "orphan", "conflict"],
        rows: FeedbackRows,
        i: int,
        at: int,
        model: str | None = None,
    ) -> list[Output]:
        """Tell of a row of feedback; nothing if its reason is not wanted."""
        if reason not in self.wanted:
            return []
        raw = rows.raw[i]
        offset = raw.chunk.offsets[raw.record]
        row = "" if raw.row is None else str(raw.row)
        number, text = float(rows.number[i]), int(rows.text.codes[i])
        actual: str | float | None = None if math.isnan(number) else number
        if text >= 0:
            actual = rows.text.values[text]
        payload = Unmatched(
            id=join_id([reason, self._partition, str(offset), row]),
            reason=reason,
            prediction_id=rows.ids[i],
            timestamp=rfc3339(int(rows.ts[i])),
            at=rfc3339(at),
            model=model,
            actual=actual,
        )
        return [_output(payload)]

    def expired(self, model: str, one: str, ts: int, due: int) -> Output:
        """Tell of a prediction whose truth never came."""
        return _output(
            Unmatched(
                id=join_id(["expired", self._partition, one, str(ts)]),
                reason="expired",
                prediction_id=one,
                timestamp=rfc3339(ts),
                at=rfc3339(due),
                model=model,
            )
        )


def _output(payload: Unmatched) -> Output:
    return Output(
        "unmatched",
        payload.prediction_id.encode(),
        encode(payload),
        (("driftline.id", payload.id.encode()),),
    )
