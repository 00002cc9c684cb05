"""When checkpoints are made."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from streams.edge.checkpointer import Checkpointer

INTERVAL = 10.0


class Stage:
    """Counts the checkpoints of its one slot."""

    name = "monitor"

    def __init__(self, *, awaited: bool) -> None:
        processor = SimpleNamespace(awaited=lambda: awaited)
        self.slot: Any = SimpleNamespace(
            partition=0, processor=processor, checkpointing=None, due=INTERVAL
        )
        self.made = 0

    async def checkpoint(self, slot: Any, now_ms: int) -> None:
        self.made += 1


async def checkpoints(stage: Any, *moments: float) -> int:
    """Look at the clock at some moments after a checkpoint at 0; count the checkpoints begun."""
    checkpointer = Checkpointer(INTERVAL, 5.0, Any)
    for moment in moments:
        checkpointer.if_due(stage, stage.slot, moment)
        if stage.slot.checkpointing is not None:
            await stage.slot.checkpointing
    await asyncio.sleep(0)
    return int(stage.made)


@pytest.mark.parametrize(
    ("awaited", "moments", "made"),
    [
        (False, [9.9], 0),
        (False, [10.0], 1),
        (False, [10.0, 19.9], 1),
        (False, [10.0, 20.0], 2),
        (True, [1.9], 0),
        (True, [2.0], 1),
        (True, [2.0, 3.9], 1),
        (True, [2.0, 4.0, 6.0], 3),
    ],
)
async def test_what_people_wait_for_is_made_visible_early_but_not_at_every_look(
    awaited: bool,  # noqa: FBT001 - a parameter
    moments: list[float],
    made: int,
) -> None:
    assert await checkpoints(Stage(awaited=awaited), *moments) == made
