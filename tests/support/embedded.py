"""A factory of embedded brokers, each stopped when its test ends."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest

from streams.edge.embedded import EmbeddedBroker

StartBroker = Callable[[Mapping[str, int]], EmbeddedBroker]


@pytest.fixture
def embedded() -> Iterator[StartBroker]:
    """Start a broker with ``embedded({"topic": partitions})``."""
    with ExitStack() as running:

        def start(topics: Mapping[str, int]) -> EmbeddedBroker:
            return running.enter_context(EmbeddedBroker(topics))

        yield start
