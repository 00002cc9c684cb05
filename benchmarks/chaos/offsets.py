"""Watches that committed offsets never pass what the state includes.

A marker in the state topic says up to where the state has taken its sources. Offsets are committed
with it or after it, so at any moment, also right after a kill, what is committed must not be beyond
the newest marker.
"""

import threading
import time
from collections import defaultdict

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from chaos.installation import PARTITIONS, Installation
from streams.edge.envelope import join_parts, open_part
from streams.edge.keys import MARKER, Keys
from streams.edge.saved import Marker

_SOURCES = {"join": ("predictions", "feedback"), "monitor": ("partials",)}
_EVERY = 0.3
_ANSWER_SECONDS = 10.0
_READ_SECONDS = 15.0


class OffsetWatch:
    """A thread that compares committed offsets with markers again and again.

    Args:
        installation: whose.
    """

    def __init__(self, installation: Installation) -> None:
        self.samples = 0
        self.faults: list[str] = []
        self.highest: dict[tuple[str, int], int] = defaultdict(int)
        self._installation = installation
        self._topics = installation.topics
        partitions = {"join": range(PARTITIONS), "monitor": range(1)}
        self._stages = [(stage, number) for stage, them in partitions.items() for number in them]
        self._positions: dict[tuple[str, int], dict[str, int]] = {}
        self._read_to: dict[tuple[str, int], int] = defaultdict(int)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="offset-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def finish(self) -> None:
        """End watching."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        committed = self._consumer(self._installation.name)
        state = self._consumer("chaos-state")
        state.assign([TopicPartition(self._state(s), number, 0) for s, number in self._stages])
        while not self._over.wait(_EVERY):
            try:
                self._sample(committed, state)
            except KafkaException:
                continue  # the brokers are down: nothing to compare
        committed.close()
        state.close()

    def _consumer(self, group: str) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._installation.bootstrap_servers,
                "group.id": group,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 50,
                "log_level": 0,
                "reconnect.backoff.max.ms": 500,
            }
        )

    def _state(self, stage: str) -> str:
        return self._topics.name(f"state_{stage}")

    def _sample(self, committed: Consumer, state: Consumer) -> None:
        sources = {
            (self._topics.name(source), number): (stage, source)
            for stage, number in self._stages
            for source in _SOURCES[stage]
        }
        asked = [TopicPartition(*place) for place in sources]
        found = committed.committed(asked, timeout=_ANSWER_SECONDS)
        if not self._read_state(state):
            return
        self.samples += 1
        for one in found:
            if one.offset < 0:
                continue
            stage, source = sources[one.topic, one.partition]
            position = self._positions.get((stage, one.partition), {}).get(source, 0)
            if one.offset > position:
                self.faults.append(
                    f"{one.topic}[{one.partition}]: {one.offset} is committed, the state includes "
                    f"what is below {position}"
                )
            before = self.highest[one.topic, one.partition]
            self.highest[one.topic, one.partition] = max(before, one.offset)

    def _read_state(self, state: Consumer) -> bool:
        ends = {}
        for stage, number in self._stages:
            place = TopicPartition(self._state(stage), number)
            ends[place.topic, number] = state.get_watermark_offsets(place, _ANSWER_SECONDS)[1]
        deadline = time.monotonic() + _READ_SECONDS
        while any(self._read_to[place] < end for place, end in ends.items()):
            if time.monotonic() > deadline or self._over.is_set():
                return False
            for message in state.consume(500, 0.2):
                place = (message.topic(), message.partition())
                if message.error() is None:
                    self._note(*place, message.key(), message.value())
                    self._read_to[place] = max(self._read_to[place], message.offset() + 1)
                elif message.error().code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its name
                    self._read_to[place] = max(self._read_to[place], message.offset())
        return True

    def _note(self, topic: str, number: int, key: bytes, value: bytes | None) -> None:
        stage = "join" if topic == self._state("join") else "monitor"
        (marker,) = Keys(stage, number).parts(MARKER, 1)
        if key == marker and value is not None:
            found = msgspec.msgpack.decode(join_parts([open_part(value)]), type=Marker)
            self._positions[stage, number] = found.positions
