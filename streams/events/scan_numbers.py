"""JSON numbers to doubles, correctly rounded.

Most numbers take one multiplication or division of exact doubles (Clinger, 1990). Others take the
algorithm of Eisel and Lemire ("Number parsing at a gigabyte per second", 2021): the mantissa times
a 128-bit power of ten, unless the product is too close to the middle between two doubles to tell.
What cannot be told, and mantissas of more than 19 digits, are left to a slower reader.
"""

import numpy as np
from numpy.typing import NDArray

from streams.compiled import loop, signed

Bytes = NDArray[np.uint8]

_LEAST, _MOST = -342, 308
_MASK = (1 << 64) - 1


def _powers() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Compute the upper 128 bits of the powers of ten, high and low words."""
    words = []
    for exponent in range(_LEAST, _MOST + 1):
        if exponent >= 0:
            power = 10**exponent
            shift = power.bit_length() - 128
            top = power >> shift if shift >= 0 else power << -shift
        else:
            power = 10**-exponent
            top = (1 << (power.bit_length() + 127)) // power
        words.append((top >> 64, top & _MASK))
    high, low = zip(*words, strict=True)
    return np.array(high, dtype=np.uint64), np.array(low, dtype=np.uint64)


_HIGH, _LOW = _powers()
_EXACT = np.array([float(10**i) for i in range(23)])
_TWOS = np.array([2.0**i for i in range(-1074, 972)])


@loop
def multiply(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Multiply to 128 bits; returns high and low word."""
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    a0, a1, b0, b1 = a & low, a >> half, b & low, b >> half
    first = a0 * b0
    middle = a1 * b0 + (first >> half)
    other = a0 * b1 + (middle & low)
    return a1 * b1 + (middle >> half) + (other >> half), a * b


@loop
def to_double(mantissa: np.uint64, exponent: int) -> tuple[float, bool]:
    """Round ``mantissa * 10**exponent`` to a double; False where it cannot be told."""
    if mantissa <= np.uint64(1 << 53) and -22 <= exponent <= 22:
        if exponent < 0:
            return np.float64(mantissa) / _EXACT[-exponent], True
        return np.float64(mantissa) * _EXACT[exponent], True
    if mantissa == np.uint64(0):
        return 0.0, True
    if exponent < _LEAST or exponent > _MOST:
        return 0.0, False
    one = np.uint64(1)
    zeros = 0
    for step in (32, 16, 8, 4, 2, 1):
        if mantissa >> np.uint64(64 - step) == np.uint64(0):
            mantissa <<= np.uint64(step)
            zeros += step
    power = ((217706 * exponent) >> 16) + 64 + 1023 - zeros
    high, low = multiply(mantissa, _HIGH[exponent - _LEAST])
    rest = np.uint64(0x1FF)
    if high & rest == rest and low + mantissa < mantissa:
        more, least = multiply(mantissa, _LOW[exponent - _LEAST])
        merged = low + more
        if merged < low:
            high += one
        if high & rest == rest and merged + one == np.uint64(0) and least + mantissa < mantissa:
            return 0.0, False
        low = merged
    top = high >> np.uint64(63)
    found = high >> (top + np.uint64(9))
    power -= signed(one ^ top)
    if low == np.uint64(0) and high & rest == np.uint64(0) and found & np.uint64(3) == one:
        return 0.0, False
    found = (found + (found & one)) >> one
    if found >> np.uint64(53) > np.uint64(0):
        found >>= one
        power += 1
    if power < 1 or power >= 0x7FF:  # no normal number
        return 0.0, False
    return np.float64(found) * _TWOS[power - 1], True


@loop
def read_number(data: Bytes, i: int, end: int) -> tuple[float, int, bool]:
    """Read a number that begins at ``i``, where a minus or a digit is.

    Returns:
        The number, where it ends, and whether it is well-formed and could be read. An integer -0
        cannot, as readers do not agree on its sign.
    """
    one = np.uint64(1)
    j, stop = np.uint64(i), np.uint64(end)  # unsigned positions need no look at their sign
    negative = data[j] == 45  # -
    if negative:
        j += one
    first = j
    mantissa = np.uint64(0)
    while j < stop:
        digit = np.uint64(data[j]) - np.uint64(48)
        if digit > np.uint64(9):
            break
        mantissa = mantissa * np.uint64(10) + digit
        j += one
    digits = signed(j - first)
    if digits == 0 or (digits > 1 and data[first] == 48):
        return 0.0, i, False
    exponent = 0
    whole = True
    if j < stop and data[j] == 46:  # .
        whole = False
        j += one
        point = j
        while j < stop:
            digit = np.uint64(data[j]) - np.uint64(48)
            if digit > np.uint64(9):
                break
            mantissa = mantissa * np.uint64(10) + digit
            j += one
        exponent = -signed(j - point)
        if exponent == 0:
            return 0.0, i, False
        digits -= exponent
    if j < stop and (data[j] == 101 or data[j] == 69):  # e E
        whole = False
        j += one
        sign = 1
        if j < stop and (data[j] == 45 or data[j] == 43):
            sign = -1 if data[j] == 45 else 1
            j += one
        power = places = 0
        while j < stop and 48 <= data[j] <= 57:
            power = power * 10 + signed(data[j]) - 48
            places += 1
            j += one
        if places == 0 or places > 3:
            return 0.0, i, False
        exponent += sign * power
    if digits > 19:
        if digits > 40:
            return 0.0, i, False
        # Zeros at the front do not count.
        while first < j and digits > 0 and (data[first] == 48 or data[first] == 46):
            digits -= 1 if data[first] == 48 else 0
            first += one
        if digits > 19:
            return 0.0, i, False
    if whole and negative and mantissa == np.uint64(0):
        return 0.0, i, False
    if mantissa < np.uint64(1 << 53) and -22 <= exponent <= 0:
        value = np.float64(mantissa) / _EXACT[-exponent]
        return (-value if negative else value), signed(j), True
    value, known = to_double(mantissa, exponent)
    return (-value if negative else value), signed(j), known
