"""The Drift Detection Method."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.base import DriftDetector, require_count, require_range, unit_column
from detectors.running import at_minimum, first_true, running_means


class DDM(DriftDetector):
    r"""Detect a rise of the error rate above the best level seen.

    With the error rate $p_t$ since the last reset and $s_t = \sqrt{p_t (1 - p_t) / t}$, the method
    remembers $p_{min}, s_{min}$ where $p_t + s_t$ was smallest, warns when
    $p_t + s_t > p_{min} + w\, s_{min}$ and alarms when $p_t + s_t > p_{min} + d\, s_{min}$.

    Not recommended as the only detector: at an error rate of 1 % it alarms about every 14,000
    items without any change, and of 10 % to 15 % it needs over 3,000. Alarm for alarm identical to
    river.

    Args:
        warm_start: Items before the method starts to test.
        warning_threshold: The factor $w$.
        drift_threshold: The factor $d$.

    Raises:
        ValueError: If a parameter is outside its range. Inputs must lie in [0, 1]; 1 is an error.

    Example:
        >>> rng = np.random.default_rng(7)
        >>> stream = np.concatenate([rng.random(1000) < 0.1, rng.random(1000) < 0.3])
        >>> DDM().update_many(stream.astype(float))
        array([1039])

    References:
        Gama, J., Medas, P., Castillo, G. and Rodrigues, P. (2004). Learning with drift detection.
        SBIA 2004, 286-295.
    """

    kind: ClassVar[str] = "ddm"

    def __init__(
        self,
        warm_start: int = 30,
        warning_threshold: float = 2.0,
        drift_threshold: float = 3.0,
    ) -> None:
        self.warm_start = require_count("warm_start", warm_start, 0)
        self.warning_threshold = require_range("warning_threshold", warning_threshold, 0.0)
        self.drift_threshold = require_range("drift_threshold", drift_threshold, 0.0)
        super().__init__()

    @property
    def estimation(self) -> float | None:
        """The error rate since the last reset."""
        return self._mean if self._n else None

    def _column(self, xs: ArrayLike) -> NDArray[np.float64]:
        return unit_column(xs)

    def _reset(self) -> None:
        self._n = 0
        self._mean = 0.0
        self._best: tuple[float, float] | None = None

    def _advance(self, xs: NDArray[np.float64]) -> int:
        counts = np.arange(self._n + 1, self._n + xs.size + 1, dtype=np.float64)
        rates = running_means(xs, self._n, self._mean)
        # Rounding may push a rate of 1 past 1.
        deviations = np.sqrt(np.maximum(rates * (1.0 - rates), 0.0) / counts)
        levels = rates + deviations
        tested = counts > self.warm_start

        rate, deviation = self._best or (np.inf, 0.0)
        rate_min, deviation_min = at_minimum(
            np.where(tested, levels, np.inf),
            (rates, deviations),
            best=(rate + deviation, rate, deviation),
        )

        alarms = tested & (levels > rate_min + self.drift_threshold * deviation_min)
        first = first_true(alarms)
        last = xs.size - 1 if first < 0 else first
        self._n += last + 1
        self._mean = float(rates[last])
        if tested[last]:
            self._best = float(rate_min[last]), float(deviation_min[last])
            warning = rate_min[last] + self.warning_threshold * deviation_min[last]
            self._warning = first < 0 and bool(levels[last] > warning)
        self._drift = first >= 0
        return last + 1

    def _state(self) -> dict[str, Any]:
        return {
            "n": self._n,
            "mean": self._mean,
            "best": None if self._best is None else list(self._best),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self._n = int(state["n"])
        self._mean = float(state["mean"])
        if state["best"] is not None:
            rate, deviation = state["best"]
            self._best = float(rate), float(deviation)
