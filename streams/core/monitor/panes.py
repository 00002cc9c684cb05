"""Cells by series and pane, kept small while nothing happens to them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from streams.core.partials import Cell


class Series(NamedTuple):
    """A version and a segment of one model; "*" stands for all."""

    version: str
    segment: str


@dataclass(slots=True)
class _Held:
    """A cell, or its packed form while it rests: a tenth of the memory, ready for a snapshot."""

    cell: Cell | None
    packed: bytes
    touched: int

    def read(self) -> Cell:
        """The cell, without waking it."""
        return _unpack(self.packed) if self.cell is None else self.cell

    def pack(self) -> bytes:
        """Its packed form."""
        return self.packed if self.cell is None else _pack(self.cell)


def _pack(cell: Cell) -> bytes:
    return msgspec.msgpack.encode(cell.to_wire())


def _unpack(packed: bytes) -> Cell:
    return Cell.from_wire(msgspec.msgpack.decode(packed))


class Panes:
    """The cells of one kind and view of one model.

    Args:
        pane_ms: length of a pane.
    """

    def __init__(self, pane_ms: int) -> None:
        self._pane_ms = pane_ms
        self._series: dict[Series, dict[int, _Held]] = {}
        self._kept_from: int | None = None

    def cell(self, series: Series, pane: int, moment: int) -> Cell | None:
        """The cell to add news to, at event time ``moment``; None when the pane is gone."""
        if self._kept_from is not None and pane < self._kept_from:
            return None
        panes = self._series.setdefault(series, {})
        held = panes.get(pane)
        if held is None:
            held = panes[pane] = _Held(Cell(), b"", moment)
        elif held.cell is None:
            held.cell, held.packed = _unpack(held.packed), b""
        held.touched = moment
        return held.cell

    def series_between(self, start: int, end: int) -> dict[Series, int]:
        """Series with a cell in ``[start, end)`` and the moment of their last news there."""
        panes = range(start, end, self._pane_ms)
        found = {}
        for series, held in self._series.items():
            touched = [held[pane].touched for pane in panes if pane in held]
            if touched:
                found[series] = max(touched)
        return found

    def merged(self, series: Series, start: int, end: int) -> Cell | None:
        """All cells of a series in ``[start, end)`` together, as a new cell; None without any."""
        held = self._series.get(series, {})
        cells = [held[p].read() for p in range(start, end, self._pane_ms) if p in held]
        return merged(cells)

    def drop(self, before: int) -> None:
        """Forget all panes that start before a moment, and refuse news of them."""
        self._kept_from = before
        for series, panes in list(self._series.items()):
            for pane in [pane for pane in panes if pane < before]:
                del panes[pane]
            if not panes:
                del self._series[series]

    def rest(self, untouched_since: int) -> None:
        """Pack the cells that had no news since a moment."""
        for panes in self._series.values():
            for held in panes.values():
                if held.cell is not None and held.touched < untouched_since:
                    held.packed = _pack(held.cell)
                    held.cell = None

    def __bool__(self) -> bool:
        """Whether there is any cell."""
        return bool(self._series)

    def __len__(self) -> int:
        """Count the cells."""
        return sum(len(panes) for panes in self._series.values())

    def snapshot(self) -> dict[str, Any]:
        """Plain containers."""
        return {
            "kept_from": self._kept_from,
            "cells": [
                [*series, pane, held.touched, held.pack()]
                for series, panes in self._series.items()
                for pane, held in panes.items()
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the state that :meth:`snapshot` gave."""
        self._kept_from = state["kept_from"]
        for version, segment, pane, touched, packed in state["cells"]:
            panes = self._series.setdefault(Series(version, segment), {})
            panes[pane] = _Held(None, packed, touched)


def merged(cells: Iterable[Cell | None]) -> Cell | None:
    """All cells together, as a new cell; None without any."""
    present: Sequence[Cell] = [cell for cell in cells if cell is not None]
    if not present:
        return None
    total = Cell()
    for cell in present:
        total.merge(cell)
    return total
