"""Records as they come from and go to topics, before and after any meaning is given to them."""

from dataclasses import dataclass

Header = tuple[str, bytes]


@dataclass(slots=True, frozen=True)
class Chunk:
    """Consecutive records of one partition of one source, in offset order.

    Attributes:
        source: logical name of the source topic: "predictions", "feedback" or "partials".
        partition: partition that the records came from.
        offsets: offset of each record; ascending, gaps allowed.
        keys: key bytes of each record.
        values: value bytes of each record.
        timestamps: broker timestamp of each record in ms since the epoch; -1 where unknown.
        headers: headers of each record.
    """

    source: str
    partition: int
    offsets: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    timestamps: list[int]
    headers: list[tuple[Header, ...]]

    def __len__(self) -> int:
        """Count the records."""
        return len(self.offsets)


@dataclass(slots=True, frozen=True)
class Output:
    """One record for a downstream topic.

    Attributes:
        topic: logical name: "partials", "metrics", "alerts", "unmatched",
            "quarantine_predictions" or "quarantine_feedback".
        key: key bytes; decides the partition (murmur2) unless ``partition`` is given.
        value: value bytes.
        headers: headers; every output carries ``driftline.id``, the same after any replay.
        partition: explicit partition, or None.
    """

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[Header, ...] = ()
    partition: int | None = None
