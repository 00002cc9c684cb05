"""Distances by name."""

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike

from detectors.distances.base import Distance
from detectors.distances.chi_square import chi_square
from detectors.distances.hellinger import hellinger
from detectors.distances.jensen_shannon import jensen_shannon
from detectors.distances.kolmogorov_smirnov import kolmogorov_smirnov
from detectors.distances.psi import psi
from detectors.distances.wasserstein import wasserstein

NAMES: dict[str, Callable[..., Distance]] = {
    "chi_square": chi_square,
    "hellinger": hellinger,
    "jensen_shannon": jensen_shannon,
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "psi": psi,
    "wasserstein": wasserstein,
}
"""Every distance by its name in configuration."""


def compute(name: str, reference: ArrayLike, current: ArrayLike, **options: Any) -> Distance:
    """Measure one distance, chosen by name.

    Args:
        name: One of `NAMES`.
        reference: Counts per bin, shape `(b,)`.
        current: Counts over the same bins, shape `(b,)`.
        **options: What the distance takes besides: `edges` of shape `(b + 1,)` for `wasserstein`.

    Raises:
        ValueError: If the name is unknown, with the nearest one that exists; if an option is
            unknown or lacking; or as the distance itself.

    Example:
        >>> compute("jensen_shannon", [10, 0], [0, 10]).value
        1.0
        >>> compute("jenson_shannon", [10, 0], [0, 10])
        Traceback (most recent call last):
        ...
        ValueError: unknown distance 'jenson_shannon'; did you mean 'jensen_shannon'?
    """
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(NAMES)}"
        raise ValueError(f"unknown distance {name!r}; {hint}")
    function = NAMES[name]
    try:
        inspect.signature(function).bind(reference, current, **options)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
    return function(reference, current, **options)
