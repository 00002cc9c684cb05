"""Every checkpoint is one Kafka transaction: outputs, state, deletions, marker and offsets.

Each partition of each stage has a transactional id of its own. Taking a partition over begins with
``prepare``: the broker then aborts what the former owner left open and refuses whatever it still
tries, and only after that the state is read. So whoever reads state knows that it is the last word,
and readers that see committed records alone see all of a checkpoint or nothing of it.
"""

import asyncio
from collections.abc import Callable, Mapping

from streams.core.processor import Checkpoint
from streams.edge.delivery import TopicPartition
from streams.edge.layout import Layout, Remains, TopicName
from streams.edge.saved import Restored
from streams.edge.sender import Record
from streams.edge.transactions import OpenTransactions, Transactions

OffsetsOf = Callable[[int, Mapping[str, int]], dict[TopicPartition, int]]
NoteCommitted = Callable[[int, Mapping[str, int]], None]


class ExactlyOnce:
    """The protocol above, for brokers with transactions."""

    fences = True

    def __init__(
        self,
        stage: str,
        state_topic: str,
        open_transactions: OpenTransactions,
        topic_name: TopicName,
        offsets_of: OffsetsOf,
        note_committed: NoteCommitted,
    ) -> None:
        """Keep the collaborators.

        Args:
            stage: "join" or "monitor".
            state_topic: where state goes, to the partition with the number of the source's.
            open_transactions: fences a stage's partition and gives its transactions.
            topic_name: full name of a topic from its logical one.
            offsets_of: source partitions with the offsets to commit, for a partition and the
                positions per source.
            note_committed: told, after each transaction, what ``offsets_of`` was asked.
        """
        self._layout = Layout(stage, state_topic, topic_name)
        self._open = open_transactions
        self._offsets_of = offsets_of
        self._note_committed = note_committed
        self._transactions: dict[int, Transactions] = {}
        self._remains: dict[int, Remains] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def prepare(self, partition: int) -> None:
        """Fence former owners and wait until nothing of theirs is pending any more."""
        self.forget(partition)
        self._transactions[partition] = await self._open(self._layout.stage, partition)

    async def adopt(self, partition: int, restored: Restored) -> None:
        """Go on from what was restored; an outbox is one of ``AtLeastOnce``, and the last."""
        self._remains[partition] = Remains(list(restored.stale), dict(restored.parts))
        if restored.outbox:
            await self._transactions[partition].commit(
                [*self._layout.outputs(restored.outbox), *self._take_stale(partition)], {}
            )

    def forget(self, partition: int) -> None:
        """Drop what is remembered of a partition, and its connections, in the background."""
        self._remains.pop(partition, None)
        transactions = self._transactions.pop(partition, None)
        if transactions is not None:
            task = asyncio.create_task(transactions.close(), name=f"close-transactions-{partition}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def commit(self, partition: int, epoch: int, checkpoint: Checkpoint) -> None:
        """Make a checkpoint durable and visible, or leave no trace of it."""
        layout = self._layout
        change = layout.change(partition, epoch, checkpoint, self._remains[partition].parts)
        records = [
            *self._take_stale(partition),
            *layout.deletions(partition, change.stale),
            *layout.states(partition, change.new),
            layout.marker(partition, epoch, checkpoint, []),
            *layout.outputs(checkpoint.outputs),
        ]
        offsets = self._offsets_of(partition, checkpoint.positions)
        await self._transactions[partition].commit(records, offsets)
        self._note_committed(partition, checkpoint.positions)

    async def tidy(self, partition: int) -> None:
        """Do nothing: a transaction leaves nothing superfluous."""

    async def close(self) -> None:
        """Let go of every partition."""
        for partition in list(self._transactions):
            self.forget(partition)
        await asyncio.gather(*self._closing)

    def _take_stale(self, partition: int) -> list[Record]:
        remains = self._remains[partition]
        stale, remains.stale = remains.stale, []
        return self._layout.deletions(partition, stale)
