"""Waiting for a condition, with a deadline, instead of for a time."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0
_LOOK_EVERY = 0.05


def wait_for(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Return the first true value of a condition; fail when it takes too long."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {patience:g} s for {what}"
        time.sleep(_LOOK_EVERY)
