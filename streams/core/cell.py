"""One cell: all that one model, version, segment and pane has seen."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np

from detectors.sketches.frequent_items import FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog
from streams.compiled import kernel
from streams.core.numbers import pack_numbers, unpack_numbers
from streams.core.sums import Sums
from streams.core.tables import CellKey, CellTable, FloatArray


@kernel
def _merge_moments(a: FloatArray, b: FloatArray, out: FloatArray) -> None:
    """Merge rows of (weight, mean, squared deviations), side by side; shape [3 * n] each."""
    for at in range(0, len(a), 3):
        weight = a[at] + b[at]
        if weight == 0.0:
            out[at] = out[at + 1] = out[at + 2] = 0.0
            continue
        delta = b[at + 1] - a[at + 1]
        share = b[at] / weight
        out[at] = weight
        # An empty side must not move the mean, not even by a rounding.
        out[at + 1] = b[at + 1] if a[at] == 0.0 else a[at + 1] + delta * share
        out[at + 2] = a[at + 2] + b[at + 2] + delta * delta * a[at] * share


def sketch_of(name: str, data: bytes) -> FrequentItems | HyperLogLog:
    """Read the sketch of a statistic.

    Raises:
        ValueError: the name tells no kind of sketch.
    """
    kind = name.partition(":")[0]
    if kind == "frequent":
        return FrequentItems.from_bytes(data)
    if kind == "distinct":
        return HyperLogLog.from_bytes(data)
    raise ValueError(f"unknown sketch {name!r}: names begin with 'frequent' or 'distinct'")


@dataclass(slots=True)
class Cell:
    """All that one cell has seen: statistics by name.

    Adding to a cell makes new arrays, so cells may share them; sketches are its own.
    """

    dense: dict[str, FloatArray] = field(default_factory=dict)
    sparse: dict[str, Sums] = field(default_factory=dict)
    moments: dict[str, FloatArray] = field(default_factory=dict)
    sketches: dict[str, FrequentItems | HyperLogLog] = field(default_factory=dict)

    def merge(self, other: "Cell") -> None:
        """Add another cell's statistics; arrays of another shape raise ValueError."""
        for name, values in other.dense.items():
            self._add_dense(name, values)
        for name, sums in other.sparse.items():
            self._add_sparse(name, sums)
        for name, values in other.moments.items():
            self._add_moments(name, values)
        for name, sketch in other.sketches.items():
            self._add_sketch(name, sketch.to_bytes())

    def _add_dense(self, name: str, values: FloatArray) -> None:
        mine = self.dense.get(name)
        self.dense[name] = values if mine is None else mine + _like(name, values, mine)

    def _add_moments(self, name: str, values: FloatArray) -> None:
        mine = self.moments.get(name)
        if mine is None:
            self.moments[name] = values
            return
        out = np.empty_like(_like(name, values, mine))
        _merge_moments(mine.ravel(), values.ravel(), out.ravel())
        self.moments[name] = out

    def _add_sparse(self, name: str, sums: Sums) -> None:
        mine = self.sparse.get(name)
        self.sparse[name] = sums if mine is None else mine.plus(sums)

    def _add_sketch(self, name: str, data: bytes) -> None:
        sketch = sketch_of(name, data)
        mine = self.sketches.get(name)
        if mine is None:
            self.sketches[name] = sketch
        else:
            mine.merge(sketch)  # type: ignore[arg-type]  # one name always holds one kind

    def to_bytes(self) -> bytes:
        """Write the cell for a snapshot, or to rest in little memory."""
        columns = [*self.dense.values(), *self.moments.values()]
        parts = [column.ravel() for column in columns]
        for sums in self.sparse.values():
            parts += [np.diff(sums.at, prepend=0).astype(np.float64), sums.amounts]
        numbers = np.concatenate(parts) if parts else np.zeros(0)
        return msgspec.msgpack.encode(
            [
                {name: column.shape for name, column in self.dense.items()},
                {name: column.shape for name, column in self.moments.items()},
                {name: len(sums) for name, sums in self.sparse.items()},
                {name: sketch.to_bytes() for name, sketch in self.sketches.items()},
                len(numbers),
                pack_numbers(numbers),
            ]
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "Cell":
        """Read what :meth:`to_bytes` wrote."""
        dense, moments, sparse, sketches, count, packed = msgspec.msgpack.decode(data)
        numbers = unpack_numbers(packed, count)
        cell, at = cls(), 0
        for shapes, columns in ((dense, cell.dense), (moments, cell.moments)):
            for name, shape in shapes.items():
                size = int(np.prod(shape))
                columns[name] = numbers[at : at + size].reshape(shape)
                at += size
        for name, size in sparse.items():
            keys = np.cumsum(numbers[at : at + size]).astype(np.int64)
            cell.sparse[name] = Sums(keys, numbers[at + size : at + 2 * size])
            at += 2 * size
        cell.sketches = {name: sketch_of(name, sketch) for name, sketch in sketches.items()}
        return cell


def _like(name: str, values: FloatArray, mine: FloatArray) -> FloatArray:
    if mine.shape != values.shape:
        raise ValueError(f"statistic {name!r} has shape {values.shape}, not {mine.shape}")
    return values


def merged(cells: Iterable[Cell | None]) -> Cell | None:
    """Add cells up, as a new cell; None without any."""
    total = None
    for cell in cells:
        if cell is not None:
            total = total or Cell()
            total.merge(cell)
    return total


def add_table(
    table: CellTable, cell_for: Callable[[CellKey], Cell | None]
) -> Iterator[tuple[CellKey, Cell]]:
    """Merge a table's rows into the cells that ``cell_for`` gives; None passes a row over.

    Yields the cells that were touched, in the table's order.
    """
    bounds = {
        name: np.searchsorted(column.cells, np.arange(len(table) + 1)).tolist()
        for name, column in table.sparse.items()
    }
    for row, key in enumerate(table.keys):
        cell = cell_for(key)
        if cell is None:
            continue
        sparse = {}
        for name, column in table.sparse.items():
            low, high = bounds[name][row], bounds[name][row + 1]
            if high > low:
                sparse[name] = Sums(column.keys[low:high], column.sums[low:high])
        news = Cell(
            {name: values[row] for name, values in table.dense.items()},
            sparse,
            {name: values[row] for name, values in table.moments.items()},
        )
        cell.merge(news)
        for name, sketches in table.sketches.items():
            data = sketches[row]
            if data is not None:
                cell._add_sketch(name, data)  # noqa: SLF001 - one module, one idea
        yield key, cell
