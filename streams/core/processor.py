"""What a stage looks like from outside: records in, checkpoints out.

The edge feeds processors from Kafka, ``driftline replay`` feeds the same objects from files, tests
feed them by hand. A processor owns the state of one source partition of one stage, holds everything
explicitly, and never asks for the time: whoever drives it says what time it is.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from streams.wire import Chunk, Output


@dataclass(slots=True, frozen=True)
class StateRecord:
    """A named piece of state; ``value`` None deletes it.

    Names are written once and never overwritten, so that an unfinished checkpoint cannot damage
    the state that an earlier one describes.
    """

    name: str
    value: bytes | None


@dataclass(slots=True, frozen=True)
class Checkpoint:
    """Everything that must become visible together.

    Attributes:
        positions: per source, the offset of the first record that the state does not include;
            a restored processor is fed from there. Sources that were never read are absent.
        outputs: records for downstream topics, in order.
        state: new pieces of state and deletions. Deletions may only take effect after ``marker``
            is durable.
        marker: small description of the whole state as of this checkpoint; the newest one wins.
    """

    positions: Mapping[str, int]
    outputs: list[Output] = field(default_factory=list)
    state: list[StateRecord] = field(default_factory=list)
    marker: bytes = b""


@dataclass(slots=True, frozen=True)
class Saved:
    """What a processor is restored from: the last durable marker and the live state records.

    ``records`` maps each name to its value, in the order in which they were written; records of
    checkpoints that never finished are not among them.
    """

    marker: bytes
    records: Mapping[str, bytes]


class Processor(Protocol):
    """One stage's work for one source partition."""

    def restore(self, saved: Saved) -> None:
        """Take the state of a checkpoint; only on a fresh processor, before the first step."""

    def positions(self) -> Mapping[str, int]:
        """Offsets to read from next, per source; empty on a fresh processor."""

    def step(self, chunk: Chunk, now_ms: int) -> None:
        """Take records; ``now_ms`` is the wall clock, used for idle sources alone."""

    def advance(self, now_ms: int, behind: Collection[str] = ()) -> None:
        """Let time pass without records, so that idle sources do not hold back the others.

        Args:
            now_ms: the wall clock.
            behind: sources that hold records which were not fed yet; these are not idle, however
                long the reader takes to get to them.
        """

    def paused(self) -> frozenset[str]:
        """Sources that are so far ahead of the others that they should not be fed for now."""

    def awaited(self) -> bool:
        """Whether people wait for what the next checkpoint makes visible."""

    def checkpoint(self, now_ms: int) -> Checkpoint | None:
        """Everything since the last checkpoint; None when there is nothing to make durable."""

    def status(self) -> Mapping[str, float]:
        """Figures for the pipeline's own health, by metric name without prefix."""


def feed(processor: Processor, chunks: Iterable[Chunk], now_ms: int) -> None:
    """Step a processor through chunks at one moment of wall clock."""
    for chunk in chunks:
        processor.step(chunk, now_ms)
