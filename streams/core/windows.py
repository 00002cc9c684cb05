"""Tumbling and hopping windows, made of panes that are merged once each."""


def window_starts(timestamp: int, size: int, hop: int) -> range:
    """Starts of the windows ``[start, start + size)`` that hold a timestamp, ascending.

    >>> list(window_starts(125, size=60, hop=20))
    [80, 100, 120]
    """
    return range((timestamp - size) // hop * hop + hop, timestamp + 1, hop)
