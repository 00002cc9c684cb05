"""When checkpoints are made: by the clock, before a rebalance, before the end."""

import asyncio
import time
from collections.abc import Iterable
from typing import Protocol

from streams.edge.errors import FencedError, OwnershipError, StuckError
from streams.edge.stage import Slot, Stage

SOONEST = 0.2
"""Part of the interval after which a checkpoint is made at once if people wait for it."""


class Health(Protocol):
    """What the checkpointer has to know and to tell."""

    @property
    def failed(self) -> bool:
        """Whether the work ended for good."""

    def fail(self, error: BaseException) -> None:
        """End the work for good."""

    def is_member(self) -> bool:
        """Whether the group still counts this worker in."""

    def fenced(self, stage: Stage, slot: Slot, error: FencedError) -> None:
        """Give up a partition that the broker takes no more transactions for."""


class Checkpointer:
    """Makes checkpoints; never two of one partition at once."""

    def __init__(self, interval: float, timeout: float, health: Health) -> None:
        """Keep the collaborators.

        Args:
            interval: seconds between two checkpoints of a partition.
            timeout: seconds that one may take.
            health: of the worker.
        """
        self._interval = interval
        self._timeout = timeout
        self._health = health

    def if_due(self, stage: Stage, slot: Slot, now: float) -> None:
        """Begin a checkpoint if it is time for one; ``now`` is monotonic."""
        if slot.checkpointing is not None:
            return
        early = now >= slot.due - self._interval * (1.0 - SOONEST)
        if now >= slot.due or (early and slot.processor.awaited()):
            slot.due = now + self._interval
            self._begin(stage, slot)

    async def settle(self, stages: Iterable[Stage], *, tidy: bool) -> None:
        """Make everything durable that was processed.

        Args:
            stages: whose partitions.
            tidy: whether to delete what the checkpoints made superfluous as well.
        """
        await asyncio.gather(
            *(
                self._settle(stage, slot, tidy=tidy)
                for stage in stages
                for slot in list(stage.slots.values())
                if not slot.parked
            )
        )

    async def _settle(self, stage: Stage, slot: Slot, *, tidy: bool) -> None:
        if slot.checkpointing is not None:
            await slot.checkpointing
        if self._may_write(stage, slot):
            await self._begin(stage, slot)
        if tidy and self._may_write(stage, slot):
            await stage.tidy(slot)

    def _begin(self, stage: Stage, slot: Slot) -> asyncio.Task[None]:
        task = asyncio.create_task(
            self._make(stage, slot), name=f"checkpoint-{stage.name}-{slot.partition}"
        )
        slot.checkpointing = task
        return task

    async def _make(self, stage: Stage, slot: Slot) -> None:
        try:
            async with asyncio.timeout(self._timeout) as limit:
                await stage.checkpoint(slot, now_ms())
        except FencedError as error:
            self._health.fenced(stage, slot, error)
        except TimeoutError as error:
            self._health.fail(self._stuck(stage, slot) if limit.expired() else error)
        except Exception as error:  # noqa: BLE001 - what is durable is not known any more
            # Whoever lost membership gives everything up with the rebalance that follows.
            if not isinstance(error, OwnershipError) or self._health.is_member():
                self._health.fail(error)
        finally:
            slot.checkpointing = None

    def _may_write(self, stage: Stage, slot: Slot) -> bool:
        still_there = stage.slots.get(slot.partition) is slot
        return still_there and not self._health.failed and self._health.is_member()

    def _stuck(self, stage: Stage, slot: Slot) -> StuckError:
        return StuckError(
            f"Kafka did not take a checkpoint of {stage.name} {slot.partition} within "
            f"{self._timeout:g} s (processing.checkpoint_timeout). Warnings above say what it "
            "answered; the usual reasons are brokers that are down, a full or broken disk "
            "(KafkaStorageError), or fewer replicas in sync than min.insync.replicas. Repair the "
            "brokers and start the worker again: it goes on from the last finished checkpoint, "
            "nothing is lost"
        )


def now_ms() -> int:
    """Return the wall clock in ms since the epoch."""
    return int(time.time() * 1000)
