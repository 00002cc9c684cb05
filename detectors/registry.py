"""Detectors by name: how configuration and stored state become objects."""

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from detectors.adwin import ADWIN
from detectors.base import DriftDetector
from detectors.ddm import DDM
from detectors.eddm import EDDM
from detectors.hddm_a import HDDMA
from detectors.hddm_w import HDDMW
from detectors.kswin import KSWIN
from detectors.page_hinkley import PageHinkley

KINDS: dict[str, type[DriftDetector]] = {
    detector.kind: detector for detector in (ADWIN, DDM, EDDM, HDDMA, HDDMW, KSWIN, PageHinkley)
}
"""Every sequential detector by its name in configuration."""


def build(kind: str, **params: Any) -> DriftDetector:
    """Make a detector.

    Args:
        kind: One of `KINDS`.
        **params: The detector's parameters; what is left out takes its default.

    Raises:
        ValueError: If the kind or a parameter is unknown, with the nearest name that exists, or a
            value is outside its range.

    Example:
        >>> build("adwin", delta=0.01).parameters["delta"]
        0.01
        >>> build("adwin", detla=0.01)
        Traceback (most recent call last):
        ...
        ValueError: adwin has no parameter 'detla'; did you mean 'delta'?
    """
    detector = _find(kind)
    known = inspect.signature(detector).parameters
    for name in params:
        if name not in known:
            raise ValueError(f"{kind} has no parameter {name!r}{_near_miss(name, known)}")
    try:
        return detector(**params)
    except ValueError as error:
        raise ValueError(f"{kind}: {error}") from error


def restore(state: Mapping[str, Any]) -> DriftDetector:
    """Make the detector that a snapshot describes.

    Args:
        state: What `DriftDetector.snapshot` returned, also after JSON or MessagePack.

    Raises:
        ValueError: If the state is of an unknown kind or version, or damaged.

    Example:
        >>> detector = build("ddm", warm_start=50)
        >>> _ = detector.update_many([0.0, 1.0, 0.0])
        >>> restore(detector.snapshot()).estimation == detector.estimation
        True
    """
    return _find(state.get("kind")).restore(state)


def _find(kind: object) -> type[DriftDetector]:
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"unknown detector {kind!r}{_near_miss(kind, KINDS)}")
    return KINDS[kind]


def _near_miss(name: object, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or list them all."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name).lower(), names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}"
