"""The Early Drift Detection Method."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.base import DriftDetector, finite_column, require_count, require_range


class EDDM(DriftDetector):
    r"""Detect that errors come closer together.

    With mean $p'$ and standard deviation $s'$ of the distances between errors, the method
    remembers the largest $p' + 2 s'$ and alarms when the current value falls below $\beta$ times
    that maximum (warning: below $\alpha$ times).

    Not recommended: its short delays come with an alarm about every 2,600 items of no change at
    all. Offered because published comparisons use it. Alarm for alarm identical to river: only the
    errors are walked through, one by one, in river's order of arithmetic.

    Args:
        warm_start: Items, and then errors, before the method starts to test.
        alpha: Warning level, a share of the maximum.
        beta: Alarm level, at most `alpha`.

    Raises:
        ValueError: If a parameter is outside its range. Inputs must be 0 or 1; 1 is an error.

    Example:
        >>> rng = np.random.default_rng(7)
        >>> stream = np.concatenate([rng.random(1000) < 0.1, rng.random(1000) < 0.3])
        >>> EDDM().update_many(stream.astype(float))
        array([1007, 1255, 1391, 1505, 1603, 1694])

    References:
        Baena-Garcia, M., del Campo-Avila, J., Fidalgo, R., Bifet, A., Gavalda, R. and
        Morales-Bueno, R. (2006). Early drift detection method. Fourth International Workshop on
        Knowledge Discovery from Data Streams.
    """

    kind: ClassVar[str] = "eddm"

    def __init__(self, warm_start: int = 30, alpha: float = 0.95, beta: float = 0.9) -> None:
        self.warm_start = require_count("warm_start", warm_start, 0)
        self.alpha = require_range("alpha", alpha, 0.0, 1.0)
        self.beta = require_range("beta", beta, 0.0, self.alpha)
        super().__init__()

    @property
    def estimation(self) -> float | None:
        """The error rate since the last reset."""
        return self._n_errors / self._n if self._n else None

    def _column(self, xs: ArrayLike) -> NDArray[np.float64]:
        column = finite_column(xs)
        binary = (column == 0.0) | (column == 1.0)
        if not binary.all():
            index = int(np.argmin(binary))
            raise ValueError(f"value at index {index} is {column[index]}, expected 0 or 1")
        return column

    def _reset(self) -> None:
        self._n = 0
        self._n_errors = 0
        self._last_error = 0
        self._mean = 0.0
        self._m2 = 0.0
        self._level_max = -1.0

    def _advance(self, xs: NDArray[np.float64]) -> int:
        for index in np.flatnonzero(xs).tolist():
            if self._error(self._n + index + 1):
                self._n += index + 1
                self._drift = True
                return int(index) + 1
        self._n += xs.size
        return xs.size

    def _error(self, position: int) -> bool:
        """Take the error at the 1-based `position`; return whether it raises an alarm."""
        distance = position - self._last_error
        self._last_error = position
        self._n_errors += 1
        before = self._mean
        self._mean += (1.0 / self._n_errors) * (distance - before)
        self._m2 += (distance - before) * (distance - self._mean)
        if position <= self.warm_start:
            return False
        variance = self._m2 / (self._n_errors - 1) if self._n_errors > 1 else 0.0
        level = self._mean + 2.0 * variance**0.5
        if level > self._level_max:
            self._level_max = level
        elif self._n_errors > self.warm_start:
            share = level / self._level_max
            if share < self.beta:
                return True
            self._warning = share < self.alpha
        return False

    def _state(self) -> dict[str, Any]:
        return {
            "n": self._n,
            "n_errors": self._n_errors,
            "last_error": self._last_error,
            "mean": self._mean,
            "m2": self._m2,
            "level_max": self._level_max,
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._n = int(state["n"])
        self._n_errors = int(state["n_errors"])
        self._last_error = int(state["last_error"])
        self._mean = float(state["mean"])
        self._m2 = float(state["m2"])
        self._level_max = float(state["level_max"])
