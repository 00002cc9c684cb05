"""Reference data as columns, whatever it was read from."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]

MISSING = -1


@dataclass(slots=True)
class Texts:
    """Dictionary-encoded strings.

    Attributes:
        values: the distinct strings.
        codes: per row an index into ``values``, or MISSING.
    """

    values: list[str]
    codes: Codes


@dataclass(slots=True)
class ReferenceRows:
    """Some rows of reference data; every column has ``n`` rows.

    Attributes:
        n: rows.
        numeric: numeric features by name; NaN is missing.
        categorical: categorical features by name.
        predicted: class index or number; NaN is missing; None without the column.
        actual: the truth likewise.
        score: binary: P(positive), shape [n]; multiclass: probabilities in order of the classes,
            shape [n, classes]; NaN is missing; None without the column.
    """

    n: int
    numeric: dict[str, Floats] = field(default_factory=dict)
    categorical: dict[str, Texts] = field(default_factory=dict)
    predicted: Floats | None = None
    actual: Floats | None = None
    score: Floats | None = None
