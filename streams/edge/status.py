"""How the edge is doing, as plain figures for whoever shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Phase = Literal["starting", "rebalancing", "restoring", "running", "stopping", "failed"]


@dataclass(slots=True, frozen=True)
class SourceStatus:
    """One partition of one source topic.

    Attributes:
        source: logical name of the topic.
        topic: its name in Kafka.
        position: offset that the processor would read from after a restart.
        delivered: offset up to which the processor was given records; what lies between the two
            waits in it.
        end: end of the partition as last told by the broker; None before the first fetch.
        lag: offsets from ``delivered`` to ``end``; None when the end is not known.
        consumed: records given to the processor since this worker got the partition.
        lost: offsets that retention removed before they were read.
    """

    source: str
    topic: str
    position: int
    delivered: int
    end: int | None
    lag: int | None
    consumed: int
    lost: int


@dataclass(slots=True, frozen=True)
class PartitionStatus:
    """One partition of one stage.

    Attributes:
        stage: "join" or "monitor".
        partition: its number.
        sources: its source partitions.
        checkpoint_age: seconds since everything that was processed was last known to be durable.
        checkpoint_duration: seconds that the last checkpoint took; None before the first.
        checkpoints: checkpoints since this worker got the partition.
        restored_records: state records read when it did.
        processor: the processor's own figures.
    """

    stage: str
    partition: int
    sources: tuple[SourceStatus, ...]
    checkpoint_age: float
    checkpoint_duration: float | None
    checkpoints: int
    restored_records: int
    processor: Mapping[str, float]


@dataclass(slots=True, frozen=True)
class EdgeStatus:
    """The whole worker.

    Attributes:
        phase: what it is doing.
        reason: why it is not running, in words; empty while it is.
        partitions: what it has been given, restored partitions only.
        rebalances: assignments since the start.
        heartbeat_age: seconds since the event loop last had a turn for its timer.
        fencings: partitions given up because the broker took no more transactions for them.
    """

    phase: Phase
    reason: str
    partitions: tuple[PartitionStatus, ...]
    rebalances: int
    heartbeat_age: float
    fencings: int = 0

    @property
    def ready(self) -> bool:
        """Whether the worker has partitions, has restored them, and is neither stopping nor ill."""
        return self.phase == "running" and bool(self.partitions)
