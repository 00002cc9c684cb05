"""Lets tests import the proof, which lies with the benchmark's scripts, and gives them traffic."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from chaos import oracle
from chaos.traffic import Event, Traffic

from streams.events.partitioner import partition_for

RATE = 120.0
PARTITIONS = 6
START = 1_795_000_000_000


def placed(events: list[Event]) -> list[oracle.Sent]:
    """Give events the places that Kafka would."""
    offsets: Counter[tuple[str, int]] = Counter()
    found = []
    for event in events:
        partition = partition_for(event.key.encode(), PARTITIONS)
        offset = offsets[event.side, partition]
        offsets[event.side, partition] += 1
        found.append(oracle.Sent(event.side, partition, offset, event.key, event.value, event.body))
    return found


@pytest.fixture(scope="session")
def sent() -> tuple[int, list[oracle.Sent]]:
    """Give the end of some traffic, and what was sent."""
    traffic = Traffic(3, START, RATE)
    events = list(traffic.until(START + 75_000))
    end, last = traffic.end(PARTITIONS)
    return end, placed(events + last)


@pytest.fixture(scope="session")
def expected(sent: tuple[int, list[oracle.Sent]]) -> oracle.Expected:
    """Give what must come out of it."""
    end, messages = sent
    return oracle.expect(messages, end, RATE)
