"""The most frequent items of a stream."""

from collections.abc import Iterable
from typing import NamedTuple, Self

from datasketches import frequent_items_error_type, frequent_strings_sketch

from detectors.sketches.wire import ByteSketch


class FrequentItem(NamedTuple):
    """One frequent item and how often it came.

    Attributes:
        item: The item.
        estimate: Estimated weight; never less than the true one.
        lower: The true weight is at least this.
        upper: The true weight is at most this.
    """

    item: str
    estimate: int
    lower: int
    upper: int


class FrequentItems(ByteSketch):
    """Misra-Gries counters: finds every item of more than a stated share, with bounds.

    Up to 768 different items are counted exactly; beyond that the error of a count is at most
    `error`, about 0.35 % of the total weight.

    Example:
        >>> sketch = FrequentItems()
        >>> sketch.update_many(["ann", "bob", "ann"])
        >>> sketch.update("cid", weight=5)
        >>> [(each.item, each.estimate) for each in sketch.top(2)]
        [('cid', 5), ('ann', 2)]

    References:
        Anderson, D., Bevan, P., Lang, K., Liberty, E., Rhodes, L. and Thaler, J. (2017). A
        high-performance algorithm for identifying frequent items in data streams. IMC 2017,
        268-282.
    """

    _LG_MAX = 10

    def __init__(self) -> None:
        self._sketch = frequent_strings_sketch(self._LG_MAX)

    @property
    def total(self) -> int:
        """Weight of all items seen."""
        return int(self._sketch.total_weight)

    @property
    def error(self) -> float:
        """Largest possible gap between the upper and the lower bound of a count."""
        return float(self._sketch.epsilon) * self.total

    def update(self, item: str, weight: int = 1) -> None:
        """Count an item.

        Args:
            item: The item.
            weight: How often it came, at least 0.

        Raises:
            ValueError: If the weight is negative.
        """
        if weight < 0:
            raise ValueError(f"weight must be at least 0, got {weight!r}")
        self._sketch.update(item, weight)

    def update_many(self, items: Iterable[str]) -> None:
        """Count items once each."""
        update = self._sketch.update
        for item in items:
            update(item)

    def merge(self, other: Self) -> None:
        """Take in another sketch, which is left as it is."""
        self._sketch.merge(other._sketch)

    def top(self, k: int) -> list[FrequentItem]:
        """Return the `k` items of the largest estimates, largest first, equal ones by name.

        Args:
            k: How many at most.
        """
        found = self._sketch.get_frequent_items(frequent_items_error_type.NO_FALSE_NEGATIVES, 0)
        items = sorted(map(FrequentItem._make, found), key=lambda each: (-each.estimate, each.item))
        return items[:k]

    def to_bytes(self) -> bytes:
        """Return the sketch in the format that all DataSketches libraries read."""
        return bytes(self._sketch.serialize())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Make the sketch that `to_bytes` described.

        Raises:
            ValueError: If the bytes are not such a sketch.
        """
        sketch = cls()
        try:
            sketch._sketch = frequent_strings_sketch.deserialize(data)
        except (IndexError, RuntimeError, ValueError) as error:
            raise ValueError(f"not a sketch of frequent strings: {error}") from error
        return sketch
