"""The bounded queue between the service's threads and the sender, and the books over both."""

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Literal

from streams.publish.stats import Loss, PublisherStats

OverflowPolicy = Literal["drop_newest", "drop_oldest"]


@dataclass(slots=True)
class Entry:
    """One call's worth of events.

    Attributes:
        topic: name of the topic.
        key: key bytes; None for a batch, whose parts get their keys when it is split.
        value: JSON bytes of the event or the batch.
        rows: number of events in ``value``.
        created: monotonic time of the call in seconds.
    """

    topic: str
    key: bytes | None
    value: bytes
    rows: int
    created: float


class EventQueue:
    """Holds entries up to a number and a size, and counts every event until it is settled.

    An entry that the sender took still counts against the limits until the sender settles it, so
    the limits bound the memory of the whole publisher. All methods may be called from any thread.

    Args:
        max_entries: most entries held; a batch is one entry.
        max_bytes: most bytes of JSON held.
        policy: which entry gives way when a limit is reached. Only entries that the sender has not
            taken can be dropped as oldest.
    """

    def __init__(self, max_entries: int, max_bytes: int, policy: OverflowPolicy) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._drop_oldest = policy == "drop_oldest"
        self._entries: deque[Entry] = deque()
        # Re-entrant: a signal handler or finaliser may log while its thread is in here.
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._settled = threading.Condition(lock)
        self._sender_waits = False
        self._close_deadline: float | None = None
        self._held_entries = 0
        self._held_bytes = 0
        self._pending = 0
        self._logged = 0
        self._delivered = 0
        self._sampled_out = 0
        self._lost: dict[Loss, int] = {}

    def put(self, entry: Entry) -> tuple[Loss, int] | None:
        """Add an entry; return what was lost by it: a reason and a number of events, or None."""
        size = len(entry.value)
        loss: tuple[Loss, int] | None = None
        with self._changed:
            self._logged += entry.rows
            if self._close_deadline is not None:
                return self._count_lost(Loss.CLOSED, entry.rows)
            dropped = 0
            if self._drop_oldest and size <= self._max_bytes:
                while self._entries and not self._fits(size):
                    oldest = self._entries.popleft()
                    self._release(1, len(oldest.value), oldest.rows)
                    dropped += oldest.rows
            if self._fits(size):
                self._entries.append(entry)
                self._held_entries += 1
                self._held_bytes += size
                self._pending += entry.rows
            else:
                dropped += entry.rows
            if dropped:
                loss = self._count_lost(Loss.QUEUE_FULL, dropped)
            if self._sender_waits:
                self._changed.notify_all()
        return loss

    def refuse(self, reason: Loss, rows: int) -> None:
        """Count events that never reached the queue."""
        with self._changed:
            self._logged += rows
            self._count_lost(reason, rows)

    def leave_out(self, rows: int) -> None:
        """Count events that sampling left out before they reached the queue."""
        with self._changed:
            self._logged += rows
            self._sampled_out += rows

    def take(self, most: int, *, wait: bool) -> list[Entry]:
        """Take up to ``most`` entries for sending.

        Args:
            most: most entries to take.
            wait: whether to wait for an entry or for ``close``.
        """
        with self._changed:
            if wait:
                self._sender_waits = True
                while not self._entries and self._close_deadline is None:
                    self._changed.wait()
                self._sender_waits = False
            return [self._entries.popleft() for _ in range(min(most, len(self._entries)))]

    def split(self, parts: int, size: int, new_size: int) -> None:
        """Replace one taken entry of ``size`` bytes by ``parts`` messages of ``new_size`` bytes."""
        with self._changed:
            self._held_entries += parts - 1
            self._held_bytes += new_size - size

    def settle(
        self,
        entries: int,
        size: int,
        *,
        delivered: int = 0,
        sampled_out: int = 0,
        lost: dict[Loss, int] | None = None,
    ) -> None:
        """Give back the room of taken entries and count what became of their events."""
        with self._changed:
            self._delivered += delivered
            self._sampled_out += sampled_out
            for reason, rows in (lost or {}).items():
                self._count_lost(reason, rows)
            self._release(entries, size, delivered + sampled_out + sum((lost or {}).values()))

    def wait_settled(self, timeout: float) -> int:
        """Wait until nothing is pending, at most ``timeout`` seconds; return what still is."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._pending:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._settled.wait(remaining):
                    break
            return self._pending

    def close(self, timeout: float) -> None:
        """Refuse new events from now on and let the sender finish within ``timeout`` seconds."""
        with self._changed:
            deadline = time.monotonic() + timeout
            if self._close_deadline is None or deadline < self._close_deadline:
                self._close_deadline = deadline
            self._changed.notify_all()

    @property
    def close_deadline(self) -> float | None:
        """Monotonic time by which the sender has to stop, or None while open."""
        return self._close_deadline

    def stats(self) -> PublisherStats:
        """Return the counts as of now."""
        with self._changed:
            return PublisherStats(
                logged=self._logged,
                delivered=self._delivered,
                sampled_out=self._sampled_out,
                pending=self._pending,
                pending_bytes=self._held_bytes,
                lost=dict(self._lost),
            )

    def _fits(self, size: int) -> bool:
        return self._held_entries < self._max_entries and self._held_bytes + size <= self._max_bytes

    def _release(self, entries: int, size: int, rows: int) -> None:
        self._held_entries -= entries
        self._held_bytes -= size
        self._pending -= rows
        if not self._pending:
            self._settled.notify_all()

    def _count_lost(self, reason: Loss, rows: int) -> tuple[Loss, int]:
        self._lost[reason] = self._lost.get(reason, 0) + rows
        return reason, rows
