"""Names that must be unique."""

from collections.abc import Callable, Iterable, Iterator

from streams.config.base import Finding, Path


def repeated(names: Iterable[str], path: Callable[[int], Path], what: str) -> Iterator[Finding]:
    """Find each name that was there before.

    Args:
        names: the names, in order.
        path: path of the name with an index.
        what: what the names are of.
    """
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield Finding(path(index), f"{what} '{name}' is listed twice; names are unique")
        seen.add(name)
