"""The books on offsets: what was delivered, what is durable, what may be committed.

Kafka's own idea of progress (the position of the consumer) runs ahead of what is durable. The
ledger takes a delivery only when it continues exactly where the last one ended, and offers an
offset for commit only when a durable checkpoint covers everything before it. Gaps in the offsets,
left by compaction and transactions, need no treatment: deliveries say where they start and end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from streams.edge.delivery import Delivery, TopicPartition
from streams.edge.errors import LedgerError


class Verdict(Enum):
    """What to do with a delivery."""

    TAKE = "take"
    """All of it or, where it overlaps what was taken already, its end."""
    KNOWN = "known"
    """Nothing: all of it was taken before."""
    GAP = "gap"
    """Nothing: something in between was never delivered. Seek back to ``expected``."""
    FOREIGN = "foreign"
    """Nothing: the partition is not being followed."""


@dataclass(slots=True)
class _Entry:
    expected: int
    durable: int
    committed: int


class OffsetLedger:
    """Offsets of every topic partition that this worker follows."""

    def __init__(self) -> None:
        self._entries: dict[TopicPartition, _Entry] = {}

    def __contains__(self, tp: TopicPartition) -> bool:
        return tp in self._entries

    def begin(self, tp: TopicPartition, position: int) -> None:
        """Follow a partition whose state includes every record before ``position``."""
        self._entries[tp] = _Entry(position, position, position)

    def forget(self, tps: Iterable[TopicPartition]) -> None:
        """Stop following partitions."""
        for tp in tps:
            self._entries.pop(tp, None)

    def expected(self, tp: TopicPartition) -> int:
        """Return the offset that the next delivery must not start after."""
        return self._entries[tp].expected

    def take(self, delivery: Delivery) -> Verdict:
        """Judge a delivery and, when it is to be taken, move on to its end."""
        entry = self._entries.get(delivery.tp)
        if entry is None:
            return Verdict.FOREIGN
        if delivery.start > entry.expected:
            return Verdict.GAP
        if delivery.end <= entry.expected:
            return Verdict.KNOWN
        entry.expected = delivery.end
        return Verdict.TAKE

    def skip_to(self, tp: TopicPartition, offset: int) -> int:
        """Accept that records before ``offset`` are gone for good.

        Returns:
            The number of offsets given up.
        """
        entry = self._entries[tp]
        lost = max(offset - entry.expected, 0)
        entry.expected += lost
        return lost

    def durable(self, tp: TopicPartition, position: int) -> None:
        """Note that a durable checkpoint includes every record before ``position``.

        Raises:
            LedgerError: the position lies behind an earlier one or ahead of what was delivered.
        """
        entry = self._entries[tp]
        if not entry.durable <= position <= entry.expected:
            raise LedgerError(
                f"a checkpoint of {tp.topic}[{tp.partition}] claims position {position}, but the "
                f"last one reached {entry.durable} and records up to {entry.expected} were "
                "delivered; this is a fault in the processor"
            )
        entry.durable = position

    def committable(self) -> dict[TopicPartition, int]:
        """Return the offsets that became durable since the last commit."""
        return {
            tp: entry.durable
            for tp, entry in self._entries.items()
            if entry.committed < entry.durable
        }

    def committed(self, tp: TopicPartition, offset: int) -> None:
        """Note that the broker took an offset; one that is no longer followed is ignored."""
        entry = self._entries.get(tp)
        if entry is not None:
            entry.committed = max(entry.committed, offset)
