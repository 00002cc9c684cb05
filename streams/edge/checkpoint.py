"""Makes a checkpoint durable and its outputs visible.

``AtLeastOnce`` writes state that is exact and outputs that may be repeated after a crash:

1. the new state records and the outputs, as state (the outbox), then, when the broker has them, the
   marker that makes the checkpoint count;
2. the outputs to their topics;
3. the offsets.

Deletions wait for the next checkpoint: before the marker is durable they would damage the state
that the one before describes. After a crash the newest marker tells what counts, and the outbox is
sent once more; receivers know a repeated output by its ``driftline.id`` header.

``exactly_once.ExactlyOnce`` does all of it in one transaction. Both write the same kinds of records
and read each other's.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from streams.core.processor import Checkpoint
from streams.edge.envelope import seal
from streams.edge.keys import OUTBOX, Keys
from streams.edge.layout import Layout, Remains, TopicName
from streams.edge.saved import Restored, pack_outputs
from streams.edge.sender import Sender

CommitOffsets = Callable[[int, Mapping[str, int]], Awaitable[None]]


class Committer(Protocol):
    """Makes the checkpoints of one stage durable, for every partition of it."""

    @property
    def fences(self) -> bool:
        """Whether ``prepare`` keeps former owners of a partition from writing."""

    async def prepare(self, partition: int) -> None:
        """Become the only one who can write a partition's state; before it is read.

        Raises:
            EdgeError: the broker does not allow it.
        """

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

    async def close(self) -> None:
        """Let go of every partition, when everything else has stopped."""


class AtLeastOnce:
    """The protocol above, for brokers with or without transactions."""

    fences = False

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
        self._layout = Layout(stage, state_topic, topic_name)
        self._sender = sender
        self._commit_offsets = commit_offsets
        self._check_ownership = check_ownership
        self._remains: dict[int, Remains] = {}

    async def prepare(self, partition: int) -> None:
        """Do nothing: without transactions nobody can be kept from writing."""

    async def adopt(self, partition: int, restored: Restored) -> None:
        """Go on from what was restored: send outputs that may be missing."""
        self._remains[partition] = Remains(list(restored.stale), dict(restored.parts))
        await self._sender.send_all(self._layout.outputs(restored.outbox))

    def forget(self, partition: int) -> None:
        """Drop what is remembered of a partition that this worker no longer has."""
        self._remains.pop(partition, None)

    async def commit(self, partition: int, epoch: int, checkpoint: Checkpoint) -> None:
        """Make a checkpoint durable and its outputs visible."""
        layout, remains = self._layout, self._remains.setdefault(partition, Remains())
        change = layout.change(partition, epoch, checkpoint, remains.parts)
        if checkpoint.outputs:
            sealed = seal(pack_outputs(checkpoint.outputs), epoch)
            outbox = Keys(layout.stage, partition).parts(f"{OUTBOX}{epoch}", len(sealed))
            change.new |= zip(outbox, sealed, strict=True)
            change.stale += outbox
        old = [key for key in remains.stale if key not in change.new]
        await self._sender.send_all(
            [*layout.deletions(partition, old), *layout.states(partition, change.new)]
        )
        self._check_ownership()
        await self._sender.send_all([layout.marker(partition, epoch, checkpoint, change.deleted)])
        remains.stale = change.stale
        await self._sender.send_all(layout.outputs(checkpoint.outputs))
        await self._commit_offsets(partition, checkpoint.positions)

    async def tidy(self, partition: int) -> None:
        """Delete what the last checkpoint made superfluous; before a partition is handed on."""
        remains = self._remains.get(partition)
        if remains is not None:
            await self._sender.send_all(self._layout.deletions(partition, remains.stale))
            remains.stale = []

    async def close(self) -> None:
        """Do nothing: the sender is closed by whoever made it."""
