"""Makes a checkpoint durable and its outputs visible.

``AtLeastOnce`` writes state that is exact and outputs that may be repeated after a crash:

1. the new state records and the outputs, as state (the outbox), then, when the broker has them, the
   marker that makes the checkpoint count;
2. the outputs to their topics;
3. the offsets.

Deletions wait for the next checkpoint: before the marker is durable they would damage the state
that the one before describes. After a crash the newest marker tells what counts, and the outbox is
sent once more; receivers know a repeated output by its ``driftline.id`` header.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from streams.core.processor import Checkpoint
from streams.edge.envelope import seal
from streams.edge.keys import MARKER, OUTBOX, Keys, check_name
from streams.edge.saved import Marker, Restored, pack_marker, pack_outputs
from streams.edge.sender import Record, Sender
from streams.wire import Output

LARGEST_QUARANTINED = 900_000
LARGEST_QUARANTINED_KEY = 10_000
"""Bytes of a quarantined record's value and key; its headers come on top, below Kafka's 1 MiB."""

CommitOffsets = Callable[[int, Mapping[str, int]], Awaitable[None]]
TopicName = Callable[[str], str]


class Committer(Protocol):
    """Makes the checkpoints of one stage durable, for every partition of it."""

    async def adopt(self, partition: int, restored: Restored) -> None:
        """Go on from what was restored: send outputs that may be missing."""

    def forget(self, partition: int) -> None:
        """Drop what is remembered of a partition that this worker no longer has."""

    async def commit(self, partition: int, epoch: int, checkpoint: Checkpoint) -> None:
        """Make a checkpoint durable and its outputs visible.

        Raises:
            Exception: whether the checkpoint counts is not known; the processor must be restored.
        """

    async def tidy(self, partition: int) -> None:
        """Delete what the last checkpoint made superfluous; before a partition is handed on."""


@dataclass(slots=True)
class _Remains:
    """What is left to delete, and how many parts the live values have where more than one."""

    stale: list[bytes] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)


class AtLeastOnce:
    """The protocol above, for brokers with or without transactions."""

    def __init__(
        self,
        stage: str,
        state_topic: str,
        sender: Sender,
        topic_name: TopicName,
        commit_offsets: CommitOffsets,
        check_ownership: Callable[[], None],
    ) -> None:
        """Keep the collaborators.

        Args:
            stage: "join" or "monitor".
            state_topic: where state goes, to the partition with the number of the source's.
            sender: delivers records.
            topic_name: full name of a topic from its logical one.
            commit_offsets: takes a partition and the positions per source that are durable.
            check_ownership: raises when the partitions may belong to somebody else by now.
        """
        self._stage = stage
        self._state_topic = state_topic
        self._sender = sender
        self._topic_name = topic_name
        self._commit_offsets = commit_offsets
        self._check_ownership = check_ownership
        self._remains: dict[int, _Remains] = {}

    async def adopt(self, partition: int, restored: Restored) -> None:
        """Go on from what was restored: send outputs that may be missing."""
        self._remains[partition] = _Remains(list(restored.stale), dict(restored.parts))
        await self._sender.send_all(self._addressed(o) for o in restored.outbox)

    def forget(self, partition: int) -> None:
        """Drop what is remembered of a partition that this worker no longer has."""
        self._remains.pop(partition, None)

    async def commit(self, partition: int, epoch: int, checkpoint: Checkpoint) -> None:
        """Make a checkpoint durable and its outputs visible."""
        remains = self._remains.setdefault(partition, _Remains())
        keys = Keys(self._stage, partition)
        new: dict[bytes, bytes] = {}
        deleted: list[str] = []
        for record in checkpoint.state:
            check_name(record.name)
            if record.value is None:
                deleted.append(record.name)
                continue
            sealed = seal(record.value, epoch)
            new |= zip(keys.parts(record.name, len(sealed)), sealed, strict=True)
            if len(sealed) > 1:
                remains.parts[record.name] = len(sealed)
        stale = [key for name in deleted for key in keys.parts(name, remains.parts.pop(name, 1))]
        if checkpoint.outputs:
            sealed = seal(pack_outputs(checkpoint.outputs), epoch)
            outbox = keys.parts(f"{OUTBOX}{epoch}", len(sealed))
            new |= zip(outbox, sealed, strict=True)
            stale += outbox
        old = [self._state(partition, key, None) for key in remains.stale if key not in new]
        await self._sender.send_all(old + [self._state(partition, *item) for item in new.items()])
        marker = Marker(checkpoint.marker, dict(checkpoint.positions), deleted)
        (sealed_marker,) = seal(pack_marker(marker), epoch)
        (marker_key,) = keys.parts(MARKER, 1)
        self._check_ownership()
        await self._sender.send_all([self._state(partition, marker_key, sealed_marker)])
        remains.stale = stale
        await self._sender.send_all(self._addressed(o) for o in checkpoint.outputs)
        await self._commit_offsets(partition, checkpoint.positions)

    async def tidy(self, partition: int) -> None:
        """Delete what the last checkpoint made superfluous; before a partition is handed on."""
        remains = self._remains.get(partition)
        if remains is not None:
            await self._sender.send_all(self._state(partition, k, None) for k in remains.stale)
            remains.stale = []

    def _state(self, partition: int, key: bytes, value: bytes | None) -> Record:
        return Record(self._state_topic, key, value, partition=partition)

    def _addressed(self, output: Output) -> Record:
        output = _fitting(output)
        return Record(
            self._topic_name(output.topic),
            output.key,
            output.value,
            output.headers,
            output.partition,
        )


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
