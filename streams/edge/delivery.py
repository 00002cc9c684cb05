"""Records on their way from the transport to a processor."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streams.wire import Chunk


class TopicPartition(NamedTuple):
    """A partition of a topic; equal to the tuples of the same content that libraries use."""

    topic: str
    partition: int


@dataclass(slots=True, frozen=True)
class Delivery:
    """What one fetch brought from one topic partition.

    Attributes:
        tp: where it comes from.
        start: position of the consumer before; every record from here on is in the chunk.
        end: position after. Offsets in between that carry no record are gaps that compaction or
            transactions left.
        chunk: the records; may be empty when only gaps were crossed.
    """

    tp: TopicPartition
    start: int
    end: int
    chunk: Chunk


def drop_before(chunk: Chunk, offset: int) -> Chunk:
    """Return the records at ``offset`` and after it."""
    first = int(np.searchsorted(chunk.packed.offsets, offset))
    return chunk if first == 0 else chunk.slice(first, len(chunk))
