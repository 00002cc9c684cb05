"""When the results of a window are due; a pure function of the window and the model's delays."""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from streams.config.model import ModelConfig
from streams.config.windows import WindowConfig

V = TypeVar("V")

_MOST_PHASES = 5_000


class Stage(IntEnum):
    """What is due; at one moment stages of different windows come in this order.

    ``ARRIVED``: the view by label time is complete. ``FIRST``: the view by prediction time is
    published. ``REVISE``: it is published again if it changed. ``SETTLE``: predictions can no
    longer be late; as ``REVISE``, and traffic and inputs are fixed. ``FINAL``: truth can no longer
    come; published a last time.
    """

    ARRIVED = 0
    FIRST = 1
    REVISE = 2
    SETTLE = 3
    FINAL = 4


@dataclass(slots=True, frozen=True)
class Due:
    """A window's stage is due.

    Attributes:
        window: index of the window in the model's list.
        start: first moment of the window, ms.
        end: first moment after it, ms.
        stage: what is due.
    """

    window: int
    start: int
    end: int
    stage: Stage


class Schedule:
    """All stages of all windows of one model.

    Moments are multiples of a tick: a stage is due at the first of them that is not before the
    window's end plus the stage's delay. Revisions are due at ages of size * 2**k, for as long as
    that is after the first publication and before the final one.

    Args:
        windows: the model's windows.
        config: its delays.
        tick_ms: length of a tick.
    """

    def __init__(
        self, windows: tuple[WindowConfig, ...], config: ModelConfig, tick_ms: int
    ) -> None:
        self.windows = windows
        self._tick = tick_ms
        settle = config.allowed_lateness + config.out_of_orderness
        final = settle + config.label_horizon
        self.settle_delay = self._whole(settle)
        self.final_delay = self._whole(final)
        self._period = math.lcm(tick_ms, *(window.step for window in windows))
        self._dues: dict[int, list[tuple[int, int, Stage]]] = {}
        self._waits: dict[int, int] = {}
        self._plans = [
            (w.size, w.step, self._stages_of(w, config.out_of_orderness, settle, final))
            for w in windows
        ]

    def _whole(self, delay: int) -> int:
        """Round a delay up to whole ticks."""
        return -(-delay // self._tick) * self._tick

    def _stages_of(
        self, window: WindowConfig, first: int, settle: int, final: int
    ) -> list[tuple[int, Stage]]:
        named = [
            (0, Stage.ARRIVED),
            (self._whole(first), Stage.FIRST),
            (self._whole(settle), Stage.SETTLE),
            (self._whole(final), Stage.FINAL),
        ]
        taken = {delay for delay, stage in named if stage is not Stage.ARRIVED}
        age = window.size
        while age < final:
            delay = self._whole(age)
            if delay > first and delay not in taken:
                named.append((delay, Stage.REVISE))
            age *= 2
        return sorted(named)

    def due(self, moment: int) -> list[Due]:
        """What is due at a moment (a multiple of the tick): by window, then by end, then stage."""
        # What is due repeats, so many dues are known from an earlier moment.
        phase = moment % self._period
        known = self._dues.get(phase)
        if known is None:
            found = self._find_due(moment)
            _remember(self._dues, phase, [(d.window, d.start - moment, d.stage) for d in found])
            return found
        return [
            Due(w, moment + start, moment + start + self.windows[w].size, stage)
            for w, start, stage in known
        ]

    def _find_due(self, moment: int) -> list[Due]:
        found = []
        for index, (size, step, stages) in enumerate(self._plans):
            ends = []
            for delay, stage in stages:
                # Ends in (at - tick, at]; more than one where hops are below a tick.
                end = (moment - delay) // step * step
                while end > moment - delay - self._tick:
                    ends.append((end, stage))
                    end -= step
            found += [Due(index, end - size, end, stage) for end, stage in sorted(ends)]
        return found

    def next_after(self, moment: int) -> int:
        """First moment after ``moment`` at which anything is due."""
        phase = moment % self._period
        wait = self._waits.get(phase)
        if wait is None:
            wait = self._find_next(moment) - moment
            _remember(self._waits, phase, wait)
        return moment + wait

    def _find_next(self, moment: int) -> int:
        return min(
            self._whole((moment - delay) // step * step + step + delay)
            for _, step, stages in self._plans
            for delay, _ in stages
        )


def _remember(known: dict[int, V], phase: int, value: V) -> None:
    """Keep an answer by its phase, but not endlessly many."""
    if len(known) >= _MOST_PHASES:
        known.clear()
    known[phase] = value
