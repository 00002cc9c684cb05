"""Near misses: what somebody probably meant to write."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that a mistyped one resembles most; None when none is close."""
    by_shape = {_shape(name): name for name in known}
    close = get_close_matches(_shape(word), by_shape, n=1, cutoff=0.6)
    return by_shape[close[0]] if close else None


def suggest(word: str, known: Iterable[str]) -> str:
    """Write a hint for an unknown word: the near miss, or all that is known.

    Args:
        word: what was written.
        known: what may be written, in the order to list it.
    """
    names = list(known)
    near = nearest(word, names)
    if near is not None:
        return f"did you mean '{near}'?"
    return f"known: {', '.join(names)}" if names else ""


def _shape(word: str) -> str:
    return word.lower().replace("-", "_")
