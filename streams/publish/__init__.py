"""Publishing predictions and feedback from a service, without ever getting in its way."""

from streams.publish.api import EventLog
from streams.publish.encode import InvalidEventError
from streams.publish.memory import InMemoryPublisher
from streams.publish.publisher import Publisher
from streams.publish.settings import PublisherOptions, PublisherSettings, SaslOptions, TlsOptions
from streams.publish.stats import Loss, PublisherStats

__all__ = [
    "EventLog",
    "InMemoryPublisher",
    "InvalidEventError",
    "Loss",
    "Publisher",
    "PublisherOptions",
    "PublisherSettings",
    "PublisherStats",
    "SaslOptions",
    "TlsOptions",
]
