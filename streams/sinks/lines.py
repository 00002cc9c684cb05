"""The lines of the latest windows: written when a window is new, sorted when a page is made.

Numbers of many windows are written in one go, and lines are put in order by numpy: what remains for
the interpreter is to read the numbers and to put each behind its name.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import add

import numpy as np
from numpy.typing import NDArray

from streams.payloads import Window
from streams.sinks.exposition import Family, numbers
from streams.sinks.series import Plan, Reading, Shape, plan, read, window_labels

_Place = tuple[str, str, str, str, float, float]
_TIERS = 3
_PIECE = 1_500
"""Numbers that are written before others may run: less than a millisecond of work."""


@dataclass(slots=True, eq=False)
class _Form:
    """What stays the same from one window of a place to the next: all but the numbers."""

    shape: Shape
    plan: Plan
    codes: NDArray[np.intp]
    heads: list[str]


@dataclass(slots=True, eq=False)
class _Entry:
    """One window: its form, its lines (none when it is hidden), what was left out of it."""

    form: _Form
    lines: list[str]
    limited: int
    hidden: bool


class WindowLines:
    """Keeps the lines of the windows that were told last."""

    def __init__(self, max_label_values: int, pause: Callable[[], None]) -> None:
        """Keep the limit.

        Args:
            max_label_values: how many features and classes of a window are shown at most.
            pause: called between pieces of work, to let others run.
        """
        self._most = max_label_values
        self._pause = pause
        self._entries: dict[str, _Entry] = {}
        self._forms: dict[_Place, _Form] = {}
        self._plans: dict[Shape, tuple[Plan, NDArray[np.intp]]] = {}
        # never emptied: metrics have names that are configured or built in
        self._codes: dict[Family, int] = {}

    @property
    def limited(self) -> int:
        """Samples that are left out because a label has too many values."""
        return sum(entry.limited for entry in self._entries.values())

    def update(self, windows: Sequence[Window], visible: Container[str]) -> None:
        """Write the lines of windows that were not told before; forget those told no longer.

        Args:
            windows: the windows, most important first.
            visible: ids of those that are shown.
        """
        entries: dict[str, _Entry] = {}
        forms: dict[_Place, _Form] = {}
        plans: dict[Shape, tuple[Plan, NDArray[np.intp]]] = {}
        new: list[tuple[_Entry, list[float]]] = []
        unwritten = 0
        for window in windows:
            place = _place(window)
            hidden = window.id not in visible
            entry = self._entries.get(window.id)
            if entry is None or entry.hidden != hidden:
                reading = read(window, self._most)
                form = self._form(window, place, reading)
                entry = _Entry(form, [], reading.limited, hidden)
                if hidden:
                    entry.limited += len(reading.values)
                else:
                    new.append((entry, reading.values))
                    unwritten += len(reading.values)
            form = entry.form
            entries[window.id] = entry
            forms[place] = form
            plans[form.shape] = form.plan, form.codes
            if unwritten >= _PIECE:
                _write(new)
                self._pause()
                new, unwritten = [], 0
        self._entries, self._forms, self._plans = entries, forms, plans
        _write(new)

    def _form(self, window: Window, place: _Place, reading: Reading) -> _Form:
        form = self._forms.get(place)
        if form is None or form.shape != reading.shape:
            named, codes = self._plans.get(reading.shape) or self._name(reading.shape)
            form = _Form(reading.shape, named, codes, named.heads(window_labels(window)))
            self._forms[place] = form
        return form

    def _name(self, shape: Shape) -> tuple[Plan, NDArray[np.intp]]:
        named = plan(shape)
        codes = [self._codes.setdefault(family, len(self._codes)) for family in named.families]
        self._plans[shape] = named, np.array(codes, np.intp)
        return self._plans[shape]

    def families(self, most: int) -> tuple[dict[Family, list[str]], int]:
        """Give lines by metric, and how many were left out.

        Args:
            most: how many lines there is room for. Quality goes first, then drift and classes,
                then inputs; within each, windows in their order.
        """
        lines: list[str] = []
        codes: list[NDArray[np.intp]] = [np.empty(0, np.intp)]
        every = 0
        for tier in range(_TIERS):
            for entry in self._entries.values():
                if entry.hidden:
                    continue
                tiers = entry.form.plan.tiers
                start = tiers[tier - 1] if tier else 0
                stop = min(tiers[tier], start + most - len(lines))
                every += tiers[tier] - start
                lines += entry.lines[start:stop]
                codes.append(entry.form.codes[start:stop])
        self._pause()
        return self._sorted(lines, np.concatenate(codes)), every - len(lines)

    def _sorted(self, lines: list[str], codes: NDArray[np.intp]) -> dict[Family, list[str]]:
        """Bring lines of a metric together, without changing their order."""
        order = np.argsort(codes, kind="stable")
        together = np.array(lines, object)[order].tolist()
        ends = np.cumsum(np.bincount(codes, minlength=len(self._codes))).tolist()
        return {
            family: together[start:end]
            for family, start, end in zip(self._codes, [0, *ends], ends, strict=False)
            if start != end
        }


def _write(new: Sequence[tuple[_Entry, list[float]]]) -> None:
    """Write the lines of new windows."""
    if not new:
        return
    values = np.fromiter(chain.from_iterable(own for _, own in new), np.float64)
    units = np.concatenate([entry.form.plan.units for entry, _ in new])
    written = numbers(values / units)
    start = 0
    for entry, own in new:
        end = start + len(own)
        entry.lines = list(map(add, entry.form.heads, written[start:end]))
        start = end


def _place(window: Window) -> _Place:
    return (
        window.model,
        window.model_version,
        window.segment,
        window.view,
        window.size_s,
        window.hop_s,
    )
