"""What every sequential drift detector promises: one protocol, one state format.

A detector reads a stream of numbers and signals the items at which it believes that the
distribution has changed. `update_many` takes a whole column and must give the same answer as
feeding its items one by one: how a stream is cut into chunks never matters.

Conventions shared by all detectors:

* `drift_detected` and `warning_detected` describe the *last* item fed.
* Unless its documentation says otherwise, a detector forgets everything after an alarm, with
  the next item (the convention of river).
* Where the input is an error stream, 1 is an error and 0 a success: an alarm means *worse*.
* A value that is not finite is refused before anything is changed.
"""

import inspect
import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

STATE_VERSION = 1

_BLOCK = 2048
"""Items scanned at once; bounds the work that is repeated after each alarm."""


def finite_column(xs: ArrayLike) -> NDArray[np.float64]:
    """Return `xs` as a flat float64 array, or say which value is not a finite number.

    Args:
        xs: Numbers, shape `(n,)`.

    Returns:
        A contiguous array of shape `(n,)`; `xs` itself if it already is one.

    Raises:
        ValueError: If `xs` is not one-dimensional, or a value is NaN or infinite.

    Example:
        >>> finite_column([1, 2.5])
        array([1. , 2.5])
        >>> finite_column([1.0, float("nan")])
        Traceback (most recent call last):
        ...
        ValueError: value at index 1 is nan, expected a finite number
    """
    column = np.ascontiguousarray(xs, dtype=np.float64)
    if np.ndim(xs) != 1:
        raise ValueError(f"expected a one-dimensional array, got shape {np.shape(xs)}")
    # Both extremes are finite only if all values are; two reductions need no array of flags.
    if column.size and not (np.isfinite(column.min()) and np.isfinite(column.max())):
        index = int(np.argmin(np.isfinite(column)))
        raise ValueError(f"value at index {index} is {column[index]}, expected a finite number")
    return column


def unit_column(xs: ArrayLike) -> NDArray[np.float64]:
    """Return `xs` as a float64 array whose values all lie in [0, 1].

    Args:
        xs: Numbers, shape `(n,)`.

    Returns:
        A contiguous array of shape `(n,)`.

    Raises:
        ValueError: As `finite_column`, and if a value lies outside [0, 1].

    Example:
        >>> unit_column([0, 1, 0.5])
        array([0. , 1. , 0.5])
        >>> unit_column([0, 2])
        Traceback (most recent call last):
        ...
        ValueError: value at index 1 is 2.0, expected a number from 0 to 1
    """
    column = finite_column(xs)
    if column.size and not (column.min() >= 0.0 and column.max() <= 1.0):
        index = int(np.argmin((column >= 0.0) & (column <= 1.0)))
        raise ValueError(
            f"value at index {index} is {column[index]}, expected a number from 0 to 1"
        )
    return column


def require_range(
    name: str,
    value: Any,
    low: float,
    high: float = float("inf"),
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return `value` as a float if it lies in the stated range.

    Args:
        name: The parameter's name, for the error message.
        value: The value received.
        low: Smallest value allowed.
        high: Largest value allowed.
        open_low: Whether `low` itself is excluded.
        open_high: Whether `high` itself is excluded.

    Raises:
        ValueError: Naming the parameter, the range and the value received.

    Example:
        >>> require_range("delta", 0.002, 0, 1, open_low=True)
        0.002
        >>> require_range("delta", 0, 0, 1, open_low=True)
        Traceback (most recent call last):
        ...
        ValueError: delta must be in (0, 1], got 0
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    above = operator.gt if open_low else operator.ge
    below = operator.lt if open_high else operator.le
    if not (is_number and above(value, low) and below(value, high)):
        interval = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
        raise ValueError(f"{name} must be in {interval}, got {value!r}")
    return float(value)


def require_count(name: str, value: Any, low: int) -> int:
    """Return `value` if it is a whole number of at least `low`.

    Args:
        name: The parameter's name, for the error message.
        value: The value received.
        low: Smallest value allowed.

    Raises:
        ValueError: Naming the parameter and the value received.

    Example:
        >>> require_count("clock", 32, 1)
        32
        >>> require_count("clock", 0, 1)
        Traceback (most recent call last):
        ...
        ValueError: clock must be a whole number of at least 1, got 0
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ValueError(f"{name} must be a whole number of at least {low}, got {value!r}")
    return value


class DriftDetector(ABC):
    """A sequential test for a change in a stream of numbers.

    A subclass keeps its parameters as attributes of the same names as its constructor's
    arguments; everything else that it must remember goes through `_state` and `_load`.
    """

    kind: ClassVar[str]
    """The name under which the registry knows the detector."""

    def __init__(self) -> None:
        self._n_detections = 0
        self._drift = False
        self._warning = False
        self._reset()

    @property
    def drift_detected(self) -> bool:
        """Whether the last item fed raised an alarm."""
        return self._drift

    @property
    def warning_detected(self) -> bool:
        """Whether the detector was in its warning zone after the last item; else always False."""
        return self._warning

    @property
    def n_detections(self) -> int:
        """Alarms raised since the detector was made; survives the reset after an alarm."""
        return self._n_detections

    @property
    @abstractmethod
    def estimation(self) -> float | None:
        """The mean of the input as the detector currently knows it; None before any item."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The constructor's arguments, by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def update(self, x: float) -> None:
        """Feed one item.

        Args:
            x: The item.

        Raises:
            ValueError: If `x` is not an input that the detector can take.
        """
        self.update_many(np.array([x], dtype=np.float64))

    def update_many(self, xs: ArrayLike) -> NDArray[np.int64]:
        """Feed a column of items.

        Args:
            xs: The items in order, shape `(n,)`; `n` may be 0, which changes nothing.

        Returns:
            The indices in `xs` of the items that raised an alarm, ascending.

        Raises:
            ValueError: Naming the first index whose value the detector cannot take; nothing has
                been changed then.
        """
        column = self._column(xs)
        alarms: list[int] = []
        start = 0
        while start < column.size:
            if self._drift:
                self._drift = self._warning = False
                self._restart()
            start += self._advance(column[start : start + _BLOCK])
            if self._drift:
                self._n_detections += 1
                alarms.append(start - 1)
        return np.array(alarms, dtype=np.int64)

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as numbers, strings, lists and dictionaries.

        The result survives JSON and MessagePack unchanged: no NaN, no infinity, no array.
        """
        return {
            "kind": self.kind,
            "version": STATE_VERSION,
            "parameters": self.parameters,
            "n_detections": self._n_detections,
            "drift": self._drift,
            "warning": self._warning,
            "state": self._state(),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """Make a detector that goes on where the one that gave `state` stood.

        Args:
            state: What `snapshot` returned.

        Raises:
            ValueError: If the state is of another kind or version, lacks a part or is damaged;
                the message names what is wrong.
        """
        if state.get("kind") != cls.kind:
            raise ValueError(
                f"expected the state of a {cls.kind!r}, got kind {state.get('kind')!r}"
            )
        if state.get("version") != STATE_VERSION:
            raise ValueError(
                f"{cls.kind} state has version {state.get('version')!r}, "
                f"this release reads version {STATE_VERSION}"
            )
        try:
            detector = cls(**state["parameters"])
            detector._n_detections = int(state["n_detections"])
            detector._drift = bool(state["drift"])
            detector._warning = bool(state["warning"])
            detector._load(state["state"])
        except KeyError as error:
            raise ValueError(f"{cls.kind} state lacks {error}") from error
        except TypeError as error:
            raise ValueError(f"{cls.kind} state is damaged: {error}") from error
        return detector

    def _column(self, xs: ArrayLike) -> NDArray[np.float64]:
        """Validate the input; detectors of error rates narrow it to [0, 1]."""
        return finite_column(xs)

    @abstractmethod
    def _reset(self) -> None:
        """Take the state of a detector that has seen no item."""

    def _restart(self) -> None:
        """Begin anew with the item after an alarm."""
        self._reset()

    @abstractmethod
    def _advance(self, xs: NDArray[np.float64]) -> int:
        """Take items up to and including the first alarm.

        Args:
            xs: At least one item, shape `(n,)`.

        Returns:
            How many items were taken; `_drift` and `_warning` then describe the last of them.
        """

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """Return what `_load` needs beyond the parameters and flags."""

    @abstractmethod
    def _load(self, state: Mapping[str, Any]) -> None:
        """Take over what `_state` returned."""
