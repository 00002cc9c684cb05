"""What publishers owe their process: a last flush at its end, a fresh start after a fork."""

import atexit
import os
from functools import cache
from typing import Protocol
from weakref import WeakSet

EXIT_BUDGET_SECONDS = 2.0
"""How long the end of the process waits for events that are still pending."""


class Attached(Protocol):
    """What a publisher does when its process ends or was forked."""

    def close(self, timeout: float) -> None:
        """Deliver what is pending within ``timeout`` seconds."""

    def restart(self) -> None:
        """Forget the parent's threads, connections and events."""


_attached: WeakSet[Attached] = WeakSet()


def attach(publisher: Attached) -> None:
    """Take care of a publisher until it is garbage; nothing is installed before the first one."""
    _install()
    _attached.add(publisher)


@cache
def _install() -> None:
    atexit.register(_close_all)
    os.register_at_fork(after_in_child=_restart_all)


def _close_all() -> None:
    for publisher in list(_attached):
        publisher.close(EXIT_BUDGET_SECONDS)


def _restart_all() -> None:
    for publisher in list(_attached):
        publisher.restart()
