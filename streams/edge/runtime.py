"""The life of a worker's processors: assigned, restored, fed, checkpointed, revoked, stopped."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Protocol

from streams.core.processor import Processor
from streams.edge.checkpointer import Checkpointer, now_ms
from streams.edge.delivery import Delivery, TopicPartition
from streams.edge.errors import FencedError, OwnershipError, TopicError
from streams.edge.ledger import OffsetLedger, Verdict
from streams.edge.saved import Restored
from streams.edge.stage import Slot, Stage
from streams.edge.status import EdgeStatus, Phase
from streams.edge.suspension import SuspensionWatch

log = logging.getLogger(__name__)

TIMER_SECONDS = 0.1
FRESH_SECONDS = 5.0
"""How old the broker's word on the end of a partition may be to call its reader caught up."""
SEEK_AGAIN_SECONDS = 1.0
LAST_COMMIT_SECONDS = 2.0
"""How long a stopping worker tries to commit offsets, which only report."""


class Consumer(Protocol):
    """What the runtime needs of the group's consumer."""

    async def bounds(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """First and end offset of partitions."""

    async def seek_to(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read from other offsets."""

    async def commit(self) -> bool:
        """Commit what ``Runtime.committable`` offers."""

    def end_offset(self, tp: TopicPartition, within: float) -> int | None:
        """End of a partition if it is known and the knowledge is recent."""

    def partition_count(self, topic: str) -> int:
        """Number of partitions of a topic."""

    def is_member(self) -> bool:
        """Whether the group still counts this worker in."""


class Reader(Protocol):
    """Reads the state of partitions."""

    async def read(self, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Restored]:
        """Read the partitions of stages."""


class Runtime:
    """Drives the stages; everything but reading state and committing happens on one event loop."""

    def __init__(
        self,
        stages: Sequence[Stage],
        ledger: OffsetLedger,
        reader: Reader,
        *,
        checkpoint_interval: float,
        checkpoint_timeout: float,
        shutdown_timeout: float,
        session_timeout: float,
    ) -> None:
        """Keep the collaborators; all times in seconds."""
        self._stages = {stage.name: stage for stage in stages}
        self._route = {topic: stage for stage in stages for topic in stage.topics.values()}
        self._ledger = ledger
        self._reader = reader
        self._checkpoints = Checkpointer(checkpoint_interval, checkpoint_timeout, self)
        # Where former owners are fenced it does no harm to be one without knowing.
        self._fences = all(stage.fences for stage in stages)
        self._session_timeout = session_timeout
        self._fencings = 0
        self._restoring = asyncio.Lock()
        self._shutdown_timeout = shutdown_timeout
        self._watch = SuspensionWatch(session_timeout)
        self._consumer: Consumer | None = None
        self._on_failure: Callable[[BaseException], None] = lambda _: None
        self._timer: asyncio.Task[None] | None = None
        self._phase: Phase = "starting"
        self._failure: BaseException | None = None
        self._assignment = 0
        self._generation = -1
        self._rebalances = 0
        self._beat = time.monotonic()
        self._held: frozenset[TopicPartition] = frozenset()
        self._sought: dict[TopicPartition, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # Life

    def start(self, consumer: Consumer, on_failure: Callable[[BaseException], None]) -> None:
        """Begin to keep time.

        Args:
            consumer: the group's consumer.
            on_failure: called once with what ended the work; it has to end the process.
        """
        self._consumer = consumer
        self._on_failure = on_failure
        self._watch.start()
        self._timer = asyncio.create_task(self._keep_time(), name="edge-timer")

    async def close(self) -> None:
        """Make a last checkpoint of everything, within the shutdown timeout, and stop."""
        if not self.failed:
            self._phase = "stopping"
        self._assignment += 1
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        if not self.failed and self.is_member():
            try:
                async with asyncio.timeout(self._shutdown_timeout * 0.7):
                    await self._checkpoints.settle(self._stages.values(), tidy=True)
            except TimeoutError:
                log.warning("the last checkpoint did not finish in time; the next start redoes it")
            except Exception:
                log.exception("the last checkpoint failed; the next start redoes it")
        self._watch.stop()

    def is_member(self) -> bool:
        """Tell whether the group still counts this worker in."""
        return self._consumer is not None and self._consumer.is_member()

    @property
    def failed(self) -> bool:
        """Whether the work ended for good."""
        return self._failure is not None

    def fail(self, error: BaseException) -> None:
        """Stop all work for good: nothing more is processed, stored or committed."""
        if self._failure is None:
            self._failure = error
            self._phase = "failed"
            log.critical("the worker stops: %s", error, exc_info=error)
            self._on_failure(error)

    async def disconnect(self) -> None:
        """Let go of the broker, when everything else has stopped."""
        for stage in self._stages.values():
            await stage.close()

    # Assignment

    def rebalancing(self) -> None:
        """Note that the group is about to share out its partitions anew."""
        self._assignment += 1
        if self._phase in {"running", "restoring"}:
            self._phase = "rebalancing"

    async def revoked(self) -> None:
        """Make everything durable before the partitions go, and keep the processors aside."""
        self.rebalancing()
        if self.failed:
            return
        if not self.is_member():
            self._abandon()
            return
        try:
            async with asyncio.timeout(self._shutdown_timeout):
                await self._checkpoints.settle(self._stages.values(), tidy=False)
        except TimeoutError:
            if self._fences:
                self._abandon()
                return
            # Whether writes are still on their way is not known, and soon others own the state.
            self.fail(OwnershipError("the checkpoint before a rebalance did not finish in time"))
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, work cannot go on
            self.fail(error)
            return
        if not self.is_member():
            self._abandon()
        for slot in self._slots():
            slot.parked = True

    async def assigned(self, assigned: Iterable[TopicPartition], generation: int) -> None:
        """Take over partitions: go on with what was parked, restore the rest.

        Raises:
            EdgeError: the partitions or their state do not fit; the worker has to end.
        """
        consumer = self._need_consumer()
        mine = set(assigned)
        assignment = self._assignment
        self._generation = generation
        self._rebalances += 1
        wanted = []
        for stage in self._stages.values():
            self._check_counts(stage, consumer)
            todo = stage.keep(stage.partitions(mine), generation)
            wanted += [(stage.name, partition) for partition in sorted(todo)]
        if wanted:
            self._phase = "restoring"
            await self._restore(wanted, consumer, assignment)
        if assignment == self._assignment and not self.failed:
            self._phase = "running"

    async def seek_targets(self, tps: frozenset[TopicPartition]) -> dict[TopicPartition, int]:
        """Where to read the partitions from that are ready."""
        return {tp: self._ledger.expected(tp) for tp in tps if tp in self._ledger}

    def _check_counts(self, stage: Stage, consumer: Consumer) -> None:
        counts = {topic: consumer.partition_count(topic) for topic in stage.topics.values()}
        if len(set(counts.values())) > 1:
            raise TopicError(
                f"the topics {counts} must have the same number of partitions to be joined; "
                "create them anew with driftline topics create"
            )

    async def _restore(
        self, wanted: list[tuple[str, int]], consumer: Consumer, assignment: int
    ) -> None:
        async with self._restoring:
            if assignment == self._assignment:
                await self._restore_alone(wanted, consumer, assignment)

    async def _restore_alone(
        self, wanted: list[tuple[str, int]], consumer: Consumer, assignment: int
    ) -> None:
        started = time.monotonic()
        await asyncio.gather(*(self._stages[name].prepare(partition) for name, partition in wanted))
        if assignment != self._assignment:
            return  # the partitions are being shared out again
        found = await self._reader.read(wanted)
        tps = [
            TopicPartition(topic, partition)
            for name, partition in wanted
            for topic in self._stages[name].topics.values()
        ]
        bounds = await consumer.bounds(tps)
        for name, partition in wanted:
            if assignment != self._assignment:
                return  # as above
            slot = await self._stages[name].restore(
                partition, found[name, partition], bounds, self._generation
            )
            for source, lost in slot.lost.items():
                if lost:
                    self._report_loss(slot.tps[source], lost)
        log.info(
            "restored %s partitions from %s state records in %.1f s",
            len(wanted),
            sum(r.records for r in found.values()),
            time.monotonic() - started,
        )

    # Records

    def deliver(self, delivery: Delivery) -> None:
        """Give records to their processor; they are either processed or the worker ends."""
        stage = self._route[delivery.tp.topic]
        slot = stage.slots.get(delivery.tp.partition)
        if slot is None or slot.parked or self.failed:
            return
        try:
            verdict = stage.take(slot, delivery, now_ms())
        except Exception as error:  # noqa: BLE001 - whatever it is, the records were not processed
            self.fail(error)
            return
        if verdict is Verdict.GAP:
            self._seek_back(stage, slot, delivery.tp)
        self._update_held()

    def held(self) -> frozenset[TopicPartition]:
        """Partitions that should not be read for now."""
        return self._held

    def committable(self) -> dict[TopicPartition, int]:
        """Offsets that durable checkpoints cover and that were not committed yet."""
        return {} if self.failed else self._ledger.committable()

    def note_committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The broker took these offsets."""
        for tp, offset in offsets.items():
            self._ledger.committed(TopicPartition(*tp), offset)

    async def commit_offsets(
        self, stage: str, partition: int, positions: Mapping[str, int]
    ) -> None:
        """Commit what a checkpoint made durable; failing is harmless and repaired later."""
        self._stages[stage].note_durable(partition, positions)
        # A coordinator that is gone must not hold up the end of the worker.
        limit = LAST_COMMIT_SECONDS if self._phase == "stopping" else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._need_consumer().commit()

    def offsets(
        self, stage: str, partition: int, positions: Mapping[str, int]
    ) -> dict[TopicPartition, int]:
        """Translate what a checkpoint covers into the offsets that its transaction commits."""
        return self._stages[stage].offsets(partition, positions)

    def note_stored(self, stage: str, partition: int, positions: Mapping[str, int]) -> None:
        """Note what a transaction made durable and committed in one."""
        self._stages[stage].note_durable(partition, positions)
        self.note_committed(self.offsets(stage, partition, positions))

    def _seek_back(self, stage: Stage, slot: Slot, tp: TopicPartition) -> None:
        now = time.monotonic()
        if now - self._sought.get(tp, 0.0) < SEEK_AGAIN_SECONDS:
            return
        self._sought[tp] = now
        self._spawn(self._seek(stage, slot, tp), f"seek-{tp.topic}")

    async def _seek(self, stage: Stage, slot: Slot, tp: TopicPartition) -> None:
        # Faust drops chunks that cross a rebalance, and retention may overtake a slow reader.
        try:
            consumer = self._need_consumer()
            first, _ = (await consumer.bounds([tp]))[tp]
            if slot.parked or tp not in self._ledger:
                return
            lost = stage.give_up(slot, tp, first)
            if lost:
                self._report_loss(tp, lost)
            await consumer.seek_to({tp: self._ledger.expected(tp)})
        except Exception as error:  # noqa: BLE001 - the timer or the next rebalance tries again
            log.warning("could not seek in %s[%s]: %r", tp.topic, tp.partition, error)

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _report_loss(self, tp: TopicPartition, lost: int) -> None:
        log.error(
            "retention removed %s offsets of %s[%s] before they were read; keep records longer "
            "(topics.retention) or add workers",
            lost,
            tp.topic,
            tp.partition,
        )

    # Fencing

    def fenced(self, stage: Stage, slot: Slot, error: FencedError) -> None:
        """Give up a partition that the broker takes no more transactions for.

        Either another worker has it, and the group will say so; or the broker's patience was at
        an end, and the partition is restored from what is durable.
        """
        self._fencings += 1
        log.warning("%s %s is given up: %s", stage.name, slot.partition, error)
        stage.drop(slot.partition)
        self._update_held()
        self._spawn(self._regain(stage, slot.partition), f"regain-{stage.name}-{slot.partition}")

    async def _regain(self, stage: Stage, partition: int) -> None:
        # Restoring at once would fence the new owner, if there is one. A session's time later
        # this worker knows whether it is still a member, and then the partition is its own.
        seen = self._assignment, self._rebalances
        ends = time.monotonic() + self._session_timeout
        while time.monotonic() < ends:
            await asyncio.sleep(TIMER_SECONDS)
            if seen != (self._assignment, self._rebalances) or not self.is_member():
                return  # the rebalance restores what is still this worker's
        try:
            consumer = self._need_consumer()
            await self._restore([(stage.name, partition)], consumer, self._assignment)
            slot = stage.slots.get(partition)
            if slot is not None:
                await consumer.seek_to({tp: self._ledger.expected(tp) for tp in slot.sources})
        except Exception as error:  # noqa: BLE001 - whatever it is, work cannot go on
            self.fail(error)

    # Time

    async def _keep_time(self) -> None:
        while True:
            self._beat = time.monotonic()
            try:
                self._tick()
            except Exception as error:  # noqa: BLE001 - a fault in a processor ends the work
                self.fail(error)
            await asyncio.sleep(TIMER_SECONDS)

    def _tick(self) -> None:
        if self._phase != "running":
            return
        self._check_standstill()
        if not self.is_member():
            return  # a rebalance is about to begin
        now = time.monotonic()
        for stage in self._stages.values():
            for slot in stage.slots.values():
                slot.processor.advance(now_ms(), self._behind(slot))
                self._checkpoints.if_due(stage, slot, now)
        self._update_held()

    def check_ownership(self) -> None:
        """Check, before something irrevocable, that the partitions are still this worker's.

        Raises:
            OwnershipError: they may have been taken over.
        """
        self._check_standstill()
        if not self.is_member():
            raise OwnershipError("the group no longer knows this worker")

    def _check_standstill(self) -> None:
        standstill = None if self._fences else self._watch.standstill()
        if standstill is not None:
            raise OwnershipError(
                f"this process stood still for {standstill:.0f} s, longer than the session "
                "timeout: its partitions may have been taken over. Start it again"
            )

    def _abandon(self) -> None:
        """Forget everything: others may have had the partitions, and their state, for a while."""
        if self._slots():  # on its very first rebalance a worker is no member and has nothing
            log.warning("the group lost sight of this worker; its partitions will be restored")
        for stage in self._stages.values():
            for partition in list(stage.slots):
                stage.drop(partition)

    def _behind(self, slot: Slot) -> set[str]:
        """Name the sources with records that were not delivered yet, as far as is known."""
        found = set()
        for source, tp in slot.tps.items():
            if tp not in self._held:
                end = self._need_consumer().end_offset(tp, FRESH_SECONDS)
                if end is None or end > self._ledger.expected(tp):
                    found.add(source)
        return found

    def _update_held(self) -> None:
        self._held = frozenset().union(*(stage.held() for stage in self._stages.values()))

    # Status

    def processors(self) -> list[Processor]:
        """Return the processors at work."""
        return [slot.processor for slot in self._slots() if not slot.parked]

    def status(self) -> EdgeStatus:
        """Describe the worker."""
        consumer = self._consumer

        def end_of(tp: TopicPartition) -> int | None:
            return consumer.end_offset(tp, float("inf")) if consumer is not None else None

        partitions = [p for stage in self._stages.values() for p in stage.status(end_of)]
        return EdgeStatus(
            phase=self._phase,
            reason=self._reason(bool(partitions)),
            partitions=tuple(partitions),
            rebalances=self._rebalances,
            heartbeat_age=time.monotonic() - self._beat,
            fencings=self._fencings,
        )

    def _reason(self, has_partitions: bool) -> str:  # noqa: FBT001 - private
        if self._failure is not None:
            return f"failed: {self._failure}"
        if self._phase == "running":
            return "" if has_partitions else "no partitions assigned"
        return self._phase

    def _slots(self) -> list[Slot]:
        return [slot for stage in self._stages.values() for slot in stage.slots.values()]

    def _need_consumer(self) -> Consumer:
        if self._consumer is None:
            raise RuntimeError("the runtime has not been started")
        return self._consumer
