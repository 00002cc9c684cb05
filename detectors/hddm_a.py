"""HDDM-A: drift detection by Hoeffding's bound on moving averages."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.base import DriftDetector, require_range, unit_column
from detectors.running import at_minimum, first_true, running_means

Column = NDArray[np.float64]


class HDDMA(DriftDetector):
    r"""Detect a change of a bounded mean against the best cut point, without further assumptions.

    Let $\bar z_n$ be the mean of all $n$ items since the last reset and
    $\varepsilon_n = \sqrt{\ln(1/c) / 2n}$. The cut point is the latest prefix with the smallest
    $\bar x_m + \varepsilon_m$; the mean has risen when
    $$\bar z_n - \bar x_m \ge \sqrt{\frac{n - m}{2\, m\, n} \ln \frac{2}{c}},$$
    with $c$ the drift confidence (alarm) or the warning confidence. The two-sided test mirrors this
    for a fall. Alarm for alarm identical to river.

    Args:
        drift_confidence: Confidence $c$ of an alarm, in (0, 1).
        warning_confidence: Confidence of a warning, in (0, 1).
        two_sided_test: Whether a fall of the mean alarms too.

    Raises:
        ValueError: If a parameter is outside its range. Inputs must lie in [0, 1]; 1 is an error.

    Example:
        >>> rng = np.random.default_rng(7)
        >>> stream = np.concatenate([rng.random(1000) < 0.1, rng.random(1000) < 0.3])
        >>> HDDMA().update_many(stream.astype(float))
        array([1102])

    References:
        Frias-Blanco, I., del Campo-Avila, J., Ramos-Jimenez, G., Morales-Bueno, R., Ortiz-Diaz, A.
        and Caballero-Mota, Y. (2015). Online and non-parametric drift detection methods based on
        Hoeffding's bounds. IEEE Transactions on Knowledge and Data Engineering 27(3), 810-823.
    """

    kind: ClassVar[str] = "hddm_a"

    def __init__(
        self,
        drift_confidence: float = 0.001,
        warning_confidence: float = 0.005,
        two_sided_test: bool = False,  # noqa: FBT001, FBT002 - river's signature, always by name
    ) -> None:
        self.drift_confidence = require_range(
            "drift_confidence", drift_confidence, 0.0, 1.0, open_low=True, open_high=True
        )
        self.warning_confidence = require_range(
            "warning_confidence", warning_confidence, 0.0, 1.0, open_low=True, open_high=True
        )
        self.two_sided_test = two_sided_test
        super().__init__()

    @property
    def estimation(self) -> float | None:
        """The mean since the last reset."""
        return self._mean if self._n else None

    def _column(self, xs: ArrayLike) -> Column:
        return unit_column(xs)

    def _reset(self) -> None:
        self._n = 0
        self._mean = 0.0
        # Length and mean of the prefix that looks lowest and, for a fall, highest.
        self._low: tuple[int, float] | None = None
        self._high: tuple[int, float] | None = None

    def _advance(self, xs: Column) -> int:
        counts = np.arange(self._n + 1, self._n + xs.size + 1, dtype=np.float64)
        means = running_means(xs, self._n, self._mean)
        bounds = np.sqrt(math.log(1.0 / self.drift_confidence) / 2.0 / counts)

        low_counts, low_means = self._cuts(counts, means, means + bounds, self._low, 1.0)
        gap = means - low_means
        room = (counts - low_counts) / (low_counts * counts)
        alarms = (room > 0.0) & (gap >= self._epsilon(room, self.drift_confidence))
        warnings = ~alarms & (room > 0.0) & (gap >= self._epsilon(room, self.warning_confidence))
        if self.two_sided_test:
            high_counts, high_means = self._cuts(counts, means, bounds - means, self._high, -1.0)
            gap = high_means - means
            room = (counts - high_counts) / (high_counts * counts)
            falls = (room > 0.0) & (gap >= self._epsilon(room, self.drift_confidence))
            warnings |= (
                ~falls & (room > 0.0) & (gap >= self._epsilon(room, self.warning_confidence))
            )
            alarms |= falls

        first = first_true(alarms)
        last = xs.size - 1 if first < 0 else first
        self._n += last + 1
        self._mean = float(means[last])
        self._low = int(low_counts[last]), float(low_means[last])
        if self.two_sided_test:
            self._high = int(high_counts[last]), float(high_means[last])
        self._drift = first >= 0
        self._warning = bool(warnings[last])
        return last + 1

    def _cuts(
        self,
        counts: Column,
        means: Column,
        keys: Column,
        cut: tuple[int, float] | None,
        sign: float,
    ) -> tuple[Column, Column]:
        """Return length and mean of the cut point's prefix after each item.

        `keys` are smallest at the cut point; `cut` is the one of earlier chunks.
        """
        best = (math.inf, 0.0, 0.0)
        if cut is not None:
            count, mean = cut
            bound = math.sqrt(math.log(1.0 / self.drift_confidence) / 2.0 / count)
            best = (sign * mean + bound, count, mean)
        return at_minimum(keys, (counts, means), best)

    @staticmethod
    def _epsilon(room: Column, confidence: float) -> Column:
        epsilon: Column = np.sqrt(room * (math.log(2.0 / confidence) / 2.0))
        return epsilon

    def _state(self) -> dict[str, Any]:
        return {
            "n": self._n,
            "mean": self._mean,
            "low": None if self._low is None else list(self._low),
            "high": None if self._high is None else list(self._high),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._n = int(state["n"])
        self._mean = float(state["mean"])
        self._low = _cut_from(state["low"])
        self._high = _cut_from(state["high"])


def _cut_from(stored: list[Any] | None) -> tuple[int, float] | None:
    """Read a cut point out of a snapshot."""
    if stored is None:
        return None
    count, mean = stored
    return int(count), float(mean)
