"""HDDM-W: drift detection by McDiarmid's bound on weighted moving averages."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.base import DriftDetector, require_range, unit_column

_Average = tuple[float | None, float]
"""An exponentially weighted mean (None before any item) and its bound condition."""

_EMPTY: _Average = (None, 1.0)


class HDDMW(DriftDetector):
    r"""Detect a change of a bounded mean by comparing weighted averages around a cut point.

    $\hat z$ is an exponentially weighted mean of everything since the last reset, with independent
    bound condition $b_t = \lambda^2 + (1 - \lambda)^2 b_{t-1}$ and
    $\varepsilon = \sqrt{b \ln(1/c) / 2}$. The cut point is where $\hat z + \varepsilon$ was
    smallest; the average $\hat x_2$ after it is compared with $\hat x_1$ at it, and the mean has
    risen when $\hat x_2 - \hat x_1 > \sqrt{(b_1 + b_2) \ln(1/c) / 2}$. The two-sided test mirrors
    this for a fall.

    With the default `lambda_val` the average spans about 40 items: strong shifts of small windows
    only; 10 % to 15 % errors are mostly missed. Identical to river to the last bit: the items are
    walked one by one in river's order of arithmetic.

    Args:
        drift_confidence: Confidence $c$ of an alarm, in (0, 1).
        warning_confidence: Confidence of a warning, in (0, 1).
        lambda_val: Weight $\lambda$ of the newest item, in (0, 1).
        two_sided_test: Whether a fall of the mean alarms too.

    Raises:
        ValueError: If a parameter is outside its range. Inputs must lie in [0, 1]; 1 is an error.

    Example:
        >>> rng = np.random.default_rng(7)
        >>> stream = np.concatenate([rng.random(1000) < 0.1, rng.random(1000) < 0.5])
        >>> HDDMW().update_many(stream.astype(float))
        array([1018])

    References:
        Frias-Blanco, I., del Campo-Avila, J., Ramos-Jimenez, G., Morales-Bueno, R., Ortiz-Diaz, A.
        and Caballero-Mota, Y. (2015). Online and non-parametric drift detection methods based on
        Hoeffding's bounds. IEEE Transactions on Knowledge and Data Engineering 27(3), 810-823.
    """

    kind: ClassVar[str] = "hddm_w"

    def __init__(
        self,
        drift_confidence: float = 0.001,
        warning_confidence: float = 0.005,
        lambda_val: float = 0.05,
        two_sided_test: bool = False,  # noqa: FBT001, FBT002 - river's signature, always by name
    ) -> None:
        self.drift_confidence = require_range(
            "drift_confidence", drift_confidence, 0.0, 1.0, open_low=True, open_high=True
        )
        self.warning_confidence = require_range(
            "warning_confidence", warning_confidence, 0.0, 1.0, open_low=True, open_high=True
        )
        self.lambda_val = require_range(
            "lambda_val", lambda_val, 0.0, 1.0, open_low=True, open_high=True
        )
        self.two_sided_test = two_sided_test
        super().__init__()

    @property
    def estimation(self) -> float | None:
        """The exponentially weighted mean since the last reset."""
        return self._total[0]

    def _column(self, xs: ArrayLike) -> NDArray[np.float64]:
        return unit_column(xs)

    def _reset(self) -> None:
        self._total = _EMPTY
        self._rise = _Side()
        self._fall = _Side()

    def _advance(self, xs: NDArray[np.float64]) -> int:
        weight, rest = self.lambda_val, 1.0 - self.lambda_val
        # The operations and their order are river's: equality to the last bit depends on it.
        weight_squared, rest_squared = weight * weight, rest**2
        alarm_log = math.log(1 / self.drift_confidence)
        warning_log = math.log(1 / self.warning_confidence)
        sqrt = math.sqrt

        mean, bound = self._total
        rise, fall = self._rise, self._fall
        drift = warning = False
        taken = 0
        for x in xs.tolist():
            taken += 1
            mean = x if mean is None else weight * x + rest * mean
            bound = weight_squared + rest_squared * bound
            epsilon = sqrt(bound * alarm_log / 2)
            drift = warning = False

            if rise.cut is None or mean + epsilon < rise.cut:
                rise.start(mean + epsilon, mean, bound)
            else:
                late = rise.late
                late = rise.late = x if late is None else weight * x + rest * late
                rise.late_bound = weight_squared + rest_squared * rise.late_bound
                gap, bounds = late - rise.early, rise.early_bound + rise.late_bound
                drift = gap > sqrt(bounds * alarm_log / 2)
                warning = not drift and gap > sqrt(bounds * warning_log / 2)

            if self.two_sided_test:
                if fall.cut is None or mean - epsilon > fall.cut:
                    fall.start(mean - epsilon, mean, bound)
                else:
                    late = fall.late
                    late = fall.late = x if late is None else weight * x + rest * late
                    fall.late_bound = weight_squared + rest_squared * fall.late_bound
                    gap, bounds = fall.early - late, fall.early_bound + fall.late_bound
                    if gap > sqrt(bounds * alarm_log / 2):
                        drift = True
                    elif gap > sqrt(bounds * warning_log / 2):
                        warning = True
            if drift:
                break

        self._total = mean, bound
        self._drift, self._warning = drift, warning
        return taken

    def _state(self) -> dict[str, Any]:
        return {
            "total": list(self._total),
            "rise": self._rise.snapshot(),
            "fall": self._fall.snapshot(),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        mean, bound = state["total"]
        self._total = mean, float(bound)
        self._rise = _Side.restore(state["rise"])
        self._fall = _Side.restore(state["fall"])


class _Side:
    """The cut point for one direction: the average up to it and the average after it."""

    __slots__ = ("cut", "early", "early_bound", "late", "late_bound")

    def __init__(self) -> None:
        self.cut: float | None = None
        self.early = 0.0
        self.early_bound = 1.0
        self.late, self.late_bound = _EMPTY

    def start(self, cut: float, mean: float, bound: float) -> None:
        """Make the latest item the cut point."""
        self.cut, self.early, self.early_bound = cut, mean, bound
        self.late, self.late_bound = _EMPTY

    def snapshot(self) -> list[float | None]:
        return [self.cut, self.early, self.early_bound, self.late, self.late_bound]

    @classmethod
    def restore(cls, stored: list[Any]) -> "_Side":
        side = cls()
        side.cut, side.early, side.early_bound, side.late, side.late_bound = stored
        return side
