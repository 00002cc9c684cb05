"""Kolmogorov-Smirnov windowing."""

import random
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.base import DriftDetector, require_count, require_range


class KSWIN(DriftDetector):
    r"""Detect a change of the distribution by a Kolmogorov-Smirnov test in a sliding window.

    The newest $r$ items of a window of $n$ are compared with $r$ items drawn without replacement
    from the older $n - r$. An alarm is raised when the exact two-sample p-value is at most
    $\alpha$ and the distance exceeds 0.1.

    Because the test is made at every item, its level is nominal only: on standard normal noise
    about every 940th item alarms. It is blind on 0/1 data. Offered because published comparisons
    use it. The draws are those of `random.Random(seed)`, seeded anew after each alarm, so the
    alarms are those of river with the same seed. The p-value of two samples of equal size depends
    on their distance alone, which turns the test into one comparison of whole numbers.

    Args:
        alpha: Level of each test, in [0, 1].
        window_size: Length $n$ of the window, at least twice `stat_size`.
        stat_size: Length $r$ of the recent part.
        seed: Seed of the draws.

    Raises:
        ValueError: If a parameter is outside its range.

    Example:
        >>> rng = np.random.default_rng(7)
        >>> stream = np.concatenate([rng.normal(0, 1, 500), rng.normal(2, 1, 500)])
        >>> KSWIN(alpha=0.0001, seed=42).update_many(stream)
        array([516])

    References:
        Raab, C., Heusinger, M. and Schleif, F.-M. (2020). Reactive soft prototype computing for
        concept drift streams. Neurocomputing 416, 340-351.
    """

    kind: ClassVar[str] = "kswin"

    def __init__(
        self,
        alpha: float = 0.005,
        window_size: int = 100,
        stat_size: int = 30,
        seed: int = 0,
    ) -> None:
        self.alpha = require_range("alpha", alpha, 0.0, 1.0)
        self.stat_size = require_count("stat_size", stat_size, 1)
        self.window_size = require_count("window_size", window_size, 2 * stat_size)
        self.seed = require_count("seed", seed, 0)
        self._critical = _critical_count(self.alpha, self.stat_size)
        super().__init__()

    @property
    def estimation(self) -> float | None:
        """The mean of the window."""
        return float(self._window.mean()) if self._window.size else None

    def _reset(self) -> None:
        self._window = np.empty(0)
        self._rng = random.Random(self.seed)  # noqa: S311 - a statistical draw, not a secret

    def _advance(self, xs: NDArray[np.float64]) -> int:
        size, recent = self.window_size, self.stat_size
        older = range(size - recent)
        items = np.concatenate((self._window, xs))
        before = self._window.size
        taken = xs.size
        for stop in range(max(size, before + 1), items.size + 1):
            window = items[stop - size : stop]
            drawn = window[self._rng.sample(older, recent)]
            if _largest_gap(drawn, window[-recent:]) >= self._critical:
                taken = stop - before
                self._drift = True
                break
        # A copy: a view would keep the whole chunk alive.
        self._window = items[max(0, before + taken - size) : before + taken].copy()
        return taken

    def _state(self) -> dict[str, Any]:
        version, internal, gauss_next = self._rng.getstate()
        return {"window": self._window.tolist(), "rng": [version, list(internal), gauss_next]}

    def _load(self, state: Mapping[str, Any]) -> None:
        self._window = np.array(state["window"], dtype=np.float64)
        version, internal, gauss_next = state["rng"]
        self._rng.setstate((version, tuple(internal), gauss_next))


def _largest_gap(a: NDArray[np.float64], b: NDArray[np.float64]) -> int:
    """Return the Kolmogorov-Smirnov distance of two samples of one size, times that size."""
    both = np.concatenate((a, b))
    order = np.argsort(both, kind="stable")
    ordered = both[order]
    balance = np.cumsum(np.where(order < a.size, 1, -1))
    # Among equal values only the balance after the last one counts.
    ends = np.append(ordered[1:] != ordered[:-1], True)
    return int(np.abs(balance[ends]).max())


@lru_cache(maxsize=64)
def _critical_count(alpha: float, size: int) -> int:
    """Return the smallest distance, times `size`, that alarms; `size + 1` if none does."""
    # Imported late: scipy.stats takes half a second, and only this detector needs it.
    from scipy.stats import ks_2samp  # noqa: PLC0415

    low, high = size // 10 + 1, size + 1
    while low < high:
        middle = (low + high) // 2
        sample = np.arange(size, dtype=np.float64)
        if ks_2samp(sample, sample + (middle - 0.5), method="auto").pvalue <= alpha:
            high = middle
        else:
            low = middle + 1
    return low
