"""Windows: tumbling, or hopping by a divisor of their size."""

from collections.abc import Iterable
from math import gcd

from streams.config.base import Finding, Frozen
from streams.config.durations import PositiveDuration, format_duration

SHORTEST_TICK_MS = 1_000
TICKS_PER_HOP = 60
MOST_PANES = 20_000


class WindowConfig(Frozen):
    """One window over event time."""

    size: PositiveDuration
    """Length of the window."""
    hop: PositiveDuration | None = None
    """Time between the starts of two windows; the size when absent (tumbling)."""

    @property
    def step(self) -> int:
        """Milliseconds between the starts of two windows."""
        return self.size if self.hop is None else self.hop

    @property
    def name(self) -> str:
        """How the window is called in metrics and alerts: ``5m`` or ``5m/1m``."""
        size = format_duration(self.size)
        return size if self.step == self.size else f"{size}/{format_duration(self.step)}"

    def findings(self) -> list[Finding]:
        """A hop divides its size, so that windows are made of whole panes."""
        if self.size % self.step == 0:
            return []
        size, hop = format_duration(self.size), format_duration(self.step)
        return [Finding(("hop",), f"hop {hop} does not divide size {size}")]


def pane_ms(windows: Iterable[WindowConfig]) -> int:
    """Length of the panes that all the windows are made of: the gcd of sizes and hops, in ms."""
    return gcd(*(length for window in windows for length in (window.size, window.step)))


def auto_tick_ms(windows: Iterable[WindowConfig]) -> int:
    """Choose a tick: a sixtieth of the smallest hop, at least 1 s, and a divisor of the pane.

    No tick may reach over the end of a pane: what arrives in one tick belongs to one pane.
    """
    windows = tuple(windows)
    pane = pane_ms(windows)
    hop = min(window.step for window in windows)
    wanted = min(pane, max(SHORTEST_TICK_MS, hop // TICKS_PER_HOP))
    return next(tick for tick in range(wanted, 0, -1) if pane % tick == 0)


def window_findings(windows: tuple[WindowConfig, ...]) -> list[Finding]:
    """Check a set of windows: not empty, none twice, and a pane that is not absurdly fine."""
    if not windows:
        return [Finding((), "at least one window is needed, such as {size: 5m, hop: 1m}")]
    found = [
        Finding((index,), f"window {window.name} is listed twice; remove one")
        for index, window in enumerate(windows)
        if window in windows[:index]
    ]
    pane = pane_ms(windows)
    found += [
        Finding(
            (index, "size"),
            f"the windows share panes of only {format_duration(pane)}, so {window.name} would hold "
            f"{window.size // pane} of them (at most {MOST_PANES}); choose sizes and hops with a "
            "larger common divisor",
        )
        for index, window in enumerate(windows)
        if window.size // pane > MOST_PANES
    ]
    return found
