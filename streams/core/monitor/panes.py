"""Cells by series and pane, kept small while nothing happens to them.

Panes are put together in pairs, pairs in pairs and so on: block ``i`` of level ``l`` holds the
panes ``i * 2**l`` up to ``(i + 1) * 2**l``. A window of n panes is made of at most ``2 * log2(n)``
blocks, most of which the window before it has made already. What a block holds depends on its panes
alone, so results are the same to the bit whatever was made before or lost in a restart.
"""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streams.core.cell import Cell, merged


class Series(NamedTuple):
    """A version and a segment of one model; "*" stands for all."""

    version: str
    segment: str


class Block(NamedTuple):
    """Panes ``number * 2**level`` up to ``(number + 1) * 2**level``."""

    level: int
    number: int


@dataclass(slots=True)
class _Held:
    """A cell, or its packed form while it rests: a tenth of the memory, ready for a snapshot."""

    cell: Cell | None
    packed: bytes
    touched: int

    def read(self) -> Cell:
        """The cell, without waking it."""
        return Cell.from_bytes(self.packed) if self.cell is None else self.cell

    def pack(self) -> bytes:
        """Its packed form."""
        return self.packed if self.cell is None else self.cell.to_bytes()


@dataclass(slots=True)
class _Line:
    """The panes of one series.

    Attributes:
        held: cells by pane, counted from the epoch.
        touched: the moment of the last news by block, of the blocks that had any.
        made: blocks of several panes that were put together.
        used: those of them that were asked for since they were last looked through.
    """

    held: dict[int, _Held] = field(default_factory=dict)
    touched: dict[Block, int] = field(default_factory=dict)
    made: dict[Block, Cell | None] = field(default_factory=dict)
    used: set[Block] = field(default_factory=set)

    def read(self, block: Block) -> Cell | None:
        """Put the cells of a block together; None without any."""
        if block.level == 0:
            held = self.held.get(block.number)
            return None if held is None else held.read()
        if block not in self.touched:
            return None
        self.used.add(block)
        if block not in self.made:
            left = self.read(Block(block.level - 1, 2 * block.number))
            right = self.read(Block(block.level - 1, 2 * block.number + 1))
            both = left is not None and right is not None
            self.made[block] = merged((left, right)) if both else left or right
        return self.made[block]


class Panes:
    """The cells of one kind and view of one model.

    Args:
        pane_ms: length of a pane.
        largest: length of the largest window, ms.
    """

    def __init__(self, pane_ms: int, largest: int) -> None:
        self._pane_ms = pane_ms
        self._levels = range((largest // pane_ms).bit_length())
        self._lines: dict[Series, _Line] = {}
        self._kept_from: int | None = None
        # Every cell by its pane, to be dropped in this order.
        self._oldest: list[tuple[int, Series]] = []
        # Every cell that does not rest, in the order of its last news.
        self._awake: dict[tuple[Series, int], _Held] = {}

    def cell(self, series: Series, pane: int, moment: int) -> Cell | None:
        """The cell to add news to, at event time ``moment``; None when the pane is gone."""
        if self._kept_from is not None and pane < self._kept_from:
            return None
        index = pane // self._pane_ms
        line = self._lines.setdefault(series, _Line())
        held = line.held.get(index)
        if held is None:
            held = line.held[index] = _Held(Cell(), b"", moment)
            heapq.heappush(self._oldest, (index, series))
        elif held.cell is None:
            held.cell, held.packed = Cell.from_bytes(held.packed), b""
        held.touched = moment
        self._awake.pop((series, index), None)
        self._awake[series, index] = held
        self._touch(line, index, moment)
        return held.cell

    def _touch(self, line: _Line, index: int, moment: int) -> None:
        for level in self._levels:
            block = Block(level, index >> level)
            line.touched[block] = max(moment, line.touched.get(block, moment))
            line.made.pop(block, None)

    def _blocks(self, start: int, end: int) -> Iterator[Block]:
        """The fewest blocks that make up ``[start, end)``, ascending."""
        low, high = -(-start // self._pane_ms), -(-end // self._pane_ms)
        if self._kept_from is not None:
            low = max(low, -(-self._kept_from // self._pane_ms))
        while low < high:
            aligned = (low & -low).bit_length() - 1 if low else self._levels[-1]
            level = min(aligned, (high - low).bit_length() - 1, self._levels[-1])
            yield Block(level, low >> level)
            low += 1 << level

    def series_between(self, start: int, end: int) -> dict[Series, int]:
        """Series with a cell in ``[start, end)`` and the moment of their last news there."""
        blocks = list(self._blocks(start, end))
        found = {}
        for series, line in self._lines.items():
            touched = [line.touched[block] for block in blocks if block in line.touched]
            if touched:
                found[series] = max(touched)
        return found

    def merged(self, series: Series, start: int, end: int) -> Cell | None:
        """All cells of a series in ``[start, end)`` together, as a new cell; None without any."""
        line = self._lines.get(series)
        if line is None:
            return None
        return merged(line.read(block) for block in self._blocks(start, end))

    def drop(self, before: int) -> None:
        """Forget all panes that start before a moment, and refuse news of them."""
        self._kept_from = before
        while self._oldest and self._oldest[0][0] * self._pane_ms < before:
            index, series = heapq.heappop(self._oldest)
            line = self._lines[series]
            del line.held[index]
            self._awake.pop((series, index), None)
            # A block of which only a part is left is not asked for any more.
            for level in self._levels:
                block = Block(level, index >> level)
                line.touched.pop(block, None)
                line.made.pop(block, None)
                line.used.discard(block)
            if not line.held:
                del self._lines[series]

    def rest(self, untouched_since: int) -> None:
        """Pack the cells that had no news since a moment; forget blocks that nobody asks for."""
        while self._awake:
            place, held = next(iter(self._awake.items()))
            if held.touched >= untouched_since:
                break
            held.packed, held.cell = held.pack(), None
            del self._awake[place]
        for line in self._lines.values():
            if line.made:
                line.made = {b: cell for b, cell in line.made.items() if b in line.used}
                line.used.clear()

    def __bool__(self) -> bool:
        """Whether there is any cell."""
        return bool(self._lines)

    def __len__(self) -> int:
        """Count the cells."""
        return len(self._oldest)

    def snapshot(self) -> dict[str, Any]:
        """Plain containers."""
        return {
            "kept_from": self._kept_from,
            "cells": [
                [*series, index * self._pane_ms, held.touched, held.pack()]
                for series, line in self._lines.items()
                for index, held in line.held.items()
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the state that :meth:`snapshot` gave."""
        self._kept_from = state["kept_from"]
        for version, segment, pane, touched, packed in state["cells"]:
            series, index = Series(version, segment), pane // self._pane_ms
            line = self._lines.setdefault(series, _Line())
            line.held[index] = _Held(None, packed, touched)
            heapq.heappush(self._oldest, (index, series))
            self._touch(line, index, touched)
