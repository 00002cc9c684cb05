"""Cutting a batch so that each part fits one message and holds keys of one partition only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from streams.events.partitioner import partitions_for
from streams.publish.ids import in_sample


@dataclass(frozen=True, slots=True)
class Part:
    """One message of a batch: key, JSON and number of rows."""

    key: bytes
    value: bytes
    rows: int


@dataclass(frozen=True, slots=True)
class Split:
    """A batch cut to messages.

    Attributes:
        parts: the messages.
        sampled_out: rows left out by sampling.
        too_large: rows that exceed the limit of a message all by themselves.
    """

    parts: list[Part]
    sampled_out: int
    too_large: int


def split_batch(
    value: bytes, partitions: int, *, max_row_bytes: int, max_bytes: int, sample_rate: float
) -> Split:
    """Cut a batch by the partition of its rows' ids and by size.

    Rows keep their order within a partition.

    Args:
        value: JSON of the batch, as encoded by this package.
        partitions: number of partitions of the topic.
        max_row_bytes: largest JSON of a part that holds one row.
        max_bytes: largest JSON of a part.
        sample_rate: share of ids to keep.
    """
    batch = orjson.loads(value)
    columns = batch.pop("columns")
    ids: list[str] = columns["prediction_id"]
    keys = [prediction_id.encode() for prediction_id in ids]
    rows_of: dict[int, list[int]] = {}
    kept = 0
    for row, partition in enumerate(partitions_for(keys, partitions)):
        if in_sample(ids[row], sample_rate):
            rows_of.setdefault(partition, []).append(row)
            kept += 1
    parts: list[Part] = []
    too_large = 0
    # Rows of one batch are of similar size; a guess that fails is halved until it fits.
    guess = max(1, len(ids) * max_bytes // (len(value) * 4 // 3 + 1))
    for rows in rows_of.values():
        waiting = [rows[start : start + guess] for start in range(0, len(rows), guess)][::-1]
        while waiting:
            chosen = waiting.pop()
            encoded = orjson.dumps({**batch, "columns": _take(columns, chosen)})
            if len(encoded) <= (max_bytes if len(chosen) > 1 else max_row_bytes):
                parts.append(Part(keys[chosen[0]], encoded, len(chosen)))
            elif len(chosen) > 1:
                middle = len(chosen) // 2
                waiting += [chosen[middle:], chosen[:middle]]
            else:
                too_large += 1
    return Split(parts, len(ids) - kept, too_large)


def _take(columns: Mapping[str, Any], rows: list[int]) -> dict[str, Any]:
    return dict(_taken(columns, rows))


def _taken(columns: Mapping[str, Any], rows: list[int]) -> Iterator[tuple[str, Any]]:
    for name, column in columns.items():
        if isinstance(column, dict):
            yield name, _take(column, rows)
        elif isinstance(column, list):
            yield name, [column[row] for row in rows]
        else:
            yield name, column
