"""Notices that the whole process stood still, as it does when a machine sleeps.

A worker that stood still for longer than the group's session timeout has lost its partitions
without knowing. It must not write their state any more: another worker has taken over.
"""

import threading
import time

TICK = 0.5
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the former counts sleep as well


def _now() -> float:
    return time.clock_gettime(_CLOCK)


class SuspensionWatch:
    """A thread that ticks; a long time between two ticks means that nothing ran at all.

    A busy event loop is no suspension: the thread, like the one that sends heartbeats, gets its
    turn all the same.
    """

    def __init__(self, limit: float) -> None:
        """Set the limit.

        Args:
            limit: seconds of standstill from which on the partitions may be lost.
        """
        self._limit = limit
        self._last = _now()
        self._longest = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="suspension-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._last = _now()
        self._thread.start()

    def stop(self) -> None:
        """End watching."""
        self._stop.set()

    def standstill(self) -> float | None:
        """Return the longest standstill in seconds if it went beyond the limit, else None."""
        longest = max(self._longest, _now() - self._last)
        return longest if longest > self._limit else None

    def _run(self) -> None:
        while not self._stop.wait(TICK):
            now = _now()
            self._longest = max(self._longest, now - self._last)
            self._last = now
