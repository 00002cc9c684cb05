"""A bounded set of names, so that a model cannot have more series than somebody planned for."""

from collections.abc import Iterable

OTHER = "__other__"
"""Stands for all names that found no room."""


class Admission:
    """The names in use, first come, first served.

    Args:
        limit: how many names are kept apart.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._last: dict[str, int] = {}
        self.refused = 0
        """How often a name was answered with ``OTHER``."""

    def admit(self, name: str, moment: int) -> str:
        """Give the name under which news is counted: its own, or ``OTHER`` when there is no room.

        Args:
            name: the name.
            moment: event time of the news, ms.
        """
        if name not in self._last and len(self._last) >= self._limit:
            self.refused += 1
            return OTHER
        self._last[name] = moment
        return name

    def retire(self, before: int) -> list[str]:
        """Forget and return the names that had no news since ``before``, making room for others."""
        gone = [name for name, last in self._last.items() if last < before]
        for name in gone:
            del self._last[name]
        return gone

    def snapshot(self) -> list[list[str | int]]:
        """Plain containers."""
        return [[name, last] for name, last in self._last.items()]

    def restore(self, state: Iterable[tuple[str, int]]) -> None:
        """Take the state that :meth:`snapshot` gave."""
        self._last = {name: last for name, last in state}  # noqa: C416 - pairs come as lists
