"""Arrays of equal stretches that are taken and given back, all in one piece of memory.

Compiled loops want flat arrays, and pages come and go; so pages are stretches of arrays that grow
in small steps. ``ndarray.resize`` lets the system move pages of memory instead of copying them, but
no view may outlive a call that takes or gives back.
"""

import heapq
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Frames:
    """One growing array, cut into frames.

    Args:
        dtype: type of an element.
        size: elements in a frame.
    """

    def __init__(self, dtype: DTypeLike, size: int) -> None:
        self.size = size
        self.data: NDArray[Any] = np.zeros(size, dtype=dtype)
        self._taken = bytearray()
        self._free: list[int] = []

    def take(self, count: int = 1) -> int:
        """Number of a free frame, or of the first of several that follow one another."""
        while count == 1 and self._free:
            frame = heapq.heappop(self._free)
            # Frames beyond the end were cut off since they became free.
            if frame < len(self._taken) and not self._taken[frame]:
                self._taken[frame] = 1
                return frame
        first = len(self._taken)
        self._taken += b"\1" * count
        needed = len(self._taken)
        if needed * self.size > len(self.data):
            self.data.resize((needed + needed // 16) * self.size, refcheck=False)
        return first

    def give(self, frame: int) -> None:
        """Give a frame back; the array shrinks once a quarter of it is free at its end."""
        self._taken[frame] = 0
        heapq.heappush(self._free, frame)
        while self._taken and not self._taken[-1]:
            self._taken.pop()
        kept = max(1, len(self._taken))
        if kept * self.size * 4 < len(self.data) * 3:
            self.data.resize(kept * self.size, refcheck=False)

    @property
    def nbytes(self) -> int:
        """Memory of the array."""
        return self.data.nbytes
