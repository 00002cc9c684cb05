"""Driftline watches machine-learning models in production, live.

Services need the names below and nothing else; they are imported when first used, so that
``import streams`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streams.publish import (
        EventLog,
        InMemoryPublisher,
        InvalidEventError,
        Loss,
        Publisher,
        PublisherStats,
    )

__all__ = [
    "EventLog",
    "InMemoryPublisher",
    "InvalidEventError",
    "Loss",
    "Publisher",
    "PublisherStats",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("streams.publish"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
