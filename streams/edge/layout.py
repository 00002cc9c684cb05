"""Which records a checkpoint is made of, whatever the protocol that delivers them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streams.core.processor import Checkpoint
from streams.edge.envelope import seal
from streams.edge.keys import MARKER, Keys, check_name
from streams.edge.saved import Marker, pack_marker
from streams.edge.sender import Record
from streams.wire import Output

LARGEST_QUARANTINED = 900_000
LARGEST_QUARANTINED_KEY = 10_000
"""Bytes of a quarantined record's value and key; its headers come on top, below Kafka's 1 MiB."""

TopicName = Callable[[str], str]


@dataclass(slots=True)
class Remains:
    """What is left to delete, and how many parts the live values have where more than one."""

    stale: list[bytes] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Change:
    """What a checkpoint does to the state.

    Attributes:
        new: records to write, by key.
        deleted: names of values that are gone.
        stale: keys of the records of those values.
    """

    new: dict[bytes, bytes]
    deleted: list[str]
    stale: list[bytes]


class Layout:
    """Makes records of checkpoints: where they go and under which keys."""

    def __init__(self, stage: str, state_topic: str, topic_name: TopicName) -> None:
        """Keep the names.

        Args:
            stage: "join" or "monitor".
            state_topic: where state goes, to the partition with the number of the source's.
            topic_name: full name of a topic from its logical one.
        """
        self.stage = stage
        self._state_topic = state_topic
        self._topic_name = topic_name

    def change(
        self, partition: int, epoch: int, checkpoint: Checkpoint, parts: dict[str, int]
    ) -> Change:
        """Work out the state records of a checkpoint, all but the marker.

        Args:
            partition: number of the partition.
            epoch: of the checkpoint.
            checkpoint: what the processor wants to be durable.
            parts: of live values with more than one; updated.

        Raises:
            ValueError: a name is reserved, or a value too large.
        """
        keys = Keys(self.stage, partition)
        change = Change({}, [], [])
        for record in checkpoint.state:
            check_name(record.name)
            if record.value is None:
                change.deleted.append(record.name)
                continue
            sealed = seal(record.value, epoch)
            change.new |= zip(keys.parts(record.name, len(sealed)), sealed, strict=True)
            if len(sealed) > 1:
                parts[record.name] = len(sealed)
        for name in change.deleted:
            change.stale += keys.parts(name, parts.pop(name, 1))
        return change

    def marker(
        self, partition: int, epoch: int, checkpoint: Checkpoint, deleted: list[str]
    ) -> Record:
        """Make the record that makes a checkpoint count.

        Args:
            partition: number of the partition.
            epoch: of the checkpoint.
            checkpoint: what the processor wants to be durable.
            deleted: names whose records are deleted only after the marker.
        """
        packed = pack_marker(Marker(checkpoint.marker, dict(checkpoint.positions), deleted))
        (sealed,) = seal(packed, epoch)
        (key,) = Keys(self.stage, partition).parts(MARKER, 1)
        return self.state(partition, key, sealed)

    def state(self, partition: int, key: bytes, value: bytes | None) -> Record:
        """Make a record of the state topic; value None deletes."""
        return Record(self._state_topic, key, value, partition=partition)

    def states(self, partition: int, new: Mapping[bytes, bytes]) -> list[Record]:
        """Make several."""
        return [self.state(partition, key, value) for key, value in new.items()]

    def deletions(self, partition: int, keys: list[bytes]) -> list[Record]:
        """Make the records that delete others."""
        return [self.state(partition, key, None) for key in keys]

    def outputs(self, outputs: list[Output]) -> list[Record]:
        """Address outputs."""
        return [
            Record(self._topic_name(o.topic), o.key, o.value, o.headers, o.partition)
            for o in map(_fitting, outputs)
        ]


def _fitting(output: Output) -> Output:
    """Cut a quarantined record that the broker would refuse.

    A record that was compressed, or as large as its topic allows, may not fit into the quarantine
    topic once its headers are added. Refused, it would stop every worker that reads it. The whole
    record can still be found in its own topic: its headers say where.
    """
    if not output.topic.startswith("quarantine_"):
        return output
    key, value = output.key or b"", output.value
    if len(key) <= LARGEST_QUARANTINED_KEY and len(value) <= LARGEST_QUARANTINED:
        return output
    return Output(
        output.topic,
        None if output.key is None else key[:LARGEST_QUARANTINED_KEY],
        value[:LARGEST_QUARANTINED],
        (*output.headers, ("driftline.truncated", f"{len(key)}+{len(value)}".encode())),
        output.partition,
    )
