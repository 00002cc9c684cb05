"""Quarantine: rejected records, unchanged, with the reason in their headers.

Whoever mends the cause can write the record back to its topic as it is. A rejected row of a batch
becomes a single event, so that the good rows of its batch are not sent again.
"""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import msgspec

from streams.events.batches import row_of
from streams.events.diagnosis import DECODE_ERRORS, parse_leniently
from streams.events.reasons import Rejected
from streams.wire import Chunk, Header, Output

_PREFIX = "driftline."
_MAX_DETAIL = 200
_VERSION = version("driftline").encode()


def to_outputs(chunk: Chunk, rejected: Iterable[Rejected], topic: str) -> list[Output]:
    """Make the quarantine records of a chunk's rejections.

    Args:
        chunk: the records that were rejected, or held rejected rows.
        rejected: rejections of that chunk.
        topic: name of the topic that the chunk came from, as Kafka knows it.

    Returns:
        One record for the topic ``quarantine_<source>`` per rejection, in the order given.
    """
    outputs = []
    batches: dict[int, Any] = {}
    for one in rejected:
        record = chunk.alone(one.record)
        value = record.values[0] or b""
        if one.row is not None:
            if one.record not in batches:
                batches[one.record] = _parse(value)
            value = _single(batches[one.record], one.row, value)
        outputs.append(
            Output(
                topic=f"quarantine_{chunk.source}",
                key=record.keys[0],
                value=value,
                headers=_headers(record, one, topic),
            )
        )
    return outputs


def to_output(chunk: Chunk, rejected: Rejected, topic: str) -> Output:
    """Make the quarantine record of one rejection; see ``to_outputs``."""
    return to_outputs(chunk, [rejected], topic)[0]


def _headers(record: Chunk, rejected: Rejected, topic: str) -> tuple[Header, ...]:
    offset = record.offsets[0]
    row = "" if rejected.row is None else str(rejected.row)
    added = {
        "reason": rejected.reason.value,
        "detail": rejected.detail[:_MAX_DETAIL],
        "source.topic": topic,
        "source.partition": str(record.partition),
        "source.offset": str(offset),
        "row": row,
        "id": f"{topic}-{record.partition}-{offset}-{row}",
    }
    # A record that comes from quarantine a second time carries headers of the first.
    kept = [header for header in record.headers[0] if not header[0].startswith(_PREFIX)]
    return (
        *kept,
        *((_PREFIX + name, text.encode()) for name, text in added.items()),
        (_PREFIX + "version", _VERSION),
    )


def _parse(value: bytes) -> Any:
    try:
        return parse_leniently(value)
    except DECODE_ERRORS:
        return None


def _single(batch: Any, row: int, original: bytes) -> bytes:
    """Encode a row of a parsed batch as a single event.

    A batch whose undeclared columns hold broken text cannot be parsed as a whole and stays as it
    is.
    """
    if not isinstance(batch, dict) or not isinstance(batch.get("columns"), dict):
        return original
    columns = batch["columns"]
    rows = len(columns["prediction_id"])
    parts = {
        part: _columns_of(columns[part], rows)
        for part in ("features", "tags")
        if isinstance(columns.get(part), dict)
    }
    score = columns.get("score")
    shared: dict[str, Any] = {
        name: value for name, value in columns.items() if isinstance(value, (str, int, float))
    }
    if isinstance(score, dict):
        shared["score"] = _columns_of(score, rows)
    event = row_of(_columns_of(columns, rows) | shared, parts, row)
    head = {name: value for name, value in batch.items() if name != "columns"}
    try:
        return msgspec.json.encode(head | event)
    except DECODE_ERRORS:  # a value that can be read, but not written again
        return original


def _columns_of(columns: dict[str, Any], rows: int) -> dict[str, list[Any]]:
    return {
        name: column
        for name, column in columns.items()
        if isinstance(column, list) and len(column) == rows
    }
