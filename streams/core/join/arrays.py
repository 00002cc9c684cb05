"""Arrays as kernels take them."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def plain(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Give an array, or a copy of it where it is read-only or has gaps.

    Kernels are compiled anew for arrays of another kind, which takes seconds.
    """
    flags = array.flags
    return array if flags.c_contiguous and flags.writeable else array.copy(order="C")
