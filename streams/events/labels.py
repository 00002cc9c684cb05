"""Class labels and categories as canonical strings, and columns of them as codes."""

from collections.abc import Mapping, Sequence
from struct import error as StructError  # noqa: N812  # it is an exception, and looks like one here
from struct import pack
from typing import cast

import numpy as np

from streams.events.columns import MISSING, WRONG_TYPE, Bools, Coded, Codes, Floats

Scalar = str | bool | int | float

#: ``lookup`` gives this to strings that are none of the names.
UNKNOWN = -3

_TEXT = {str, type(None)}


def canonical(value: Scalar) -> str:
    """Write a label as one string, however a producer's JSON library spells it.

    ``true`` is ``"true"``; 1, 1.0 and ``"1"`` are ``"1"``; strings stay as they are.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not value.is_integer():
        return repr(value)
    return str(int(value))


def encode(column: Sequence[object]) -> Coded:
    """Dictionary-encode a column of scalars by their canonical strings.

    None is ``MISSING``; lists, objects and numbers too large to write are ``WRONG_TYPE``.
    """
    if not any(column) and set(map(type, column)) <= {type(None)}:
        return Coded.absent(len(column))
    try:
        distinct = dict.fromkeys(column)
    except TypeError:
        return _encode_each(column)
    # 1, 1.0 and True are one dictionary key, but true is not "1". Strings are never conflated, so
    # the types of all values matter only when there are others than strings.
    if not set(map(type, distinct)) <= _TEXT and len(set(map(type, column)) - _TEXT) > 1:
        return _encode_each(column)
    values: dict[str, int] = {}
    codes: dict[object, int] = {}
    for value in distinct:
        codes[value] = _code(value, values)
    if len(codes) == 1:
        return Coded(list(values), np.full(len(column), codes[column[0]], dtype=np.int32))
    return Coded(
        list(values), np.fromiter(map(codes.__getitem__, column), np.int32, count=len(column))
    )


def _encode_each(column: Sequence[object]) -> Coded:
    values: dict[str, int] = {}
    codes = [_code(value, values) for value in column]
    return Coded(list(values), np.array(codes, dtype=np.int32))


def _code(value: object, values: dict[str, int]) -> int:
    if value is None:
        return MISSING
    if not isinstance(value, (str, bool, int, float)):
        return WRONG_TYPE
    try:
        text = canonical(value)
    except (ValueError, OverflowError):  # Python refuses to spell integers of 4301 digits
        return WRONG_TYPE
    return values.setdefault(text, len(values))


def lookup(column: Coded, names: Mapping[str, int]) -> Codes:
    """Translate a column into positions in a fixed list of names.

    ``MISSING`` and ``WRONG_TYPE`` stay; strings that are none of the names are ``UNKNOWN``.
    """
    table = [names.get(value, UNKNOWN) for value in column.values]
    return np.array([*table, WRONG_TYPE, MISSING], dtype=np.int32)[column.codes]


def floats(column: Sequence[float | None]) -> Floats:
    """Make an array of a column that holds only floats and None, which becomes NaN.

    Packing takes half the time that numpy takes with any sequence.
    """
    try:
        return np.frombuffer(bytearray(pack(f"={len(column)}d", *column)), np.float64)
    except StructError:
        return np.fromiter(column, np.float64, count=len(column))


def numbers(column: Sequence[object]) -> tuple[Floats, Bools | None]:
    """Read a column of numbers.

    Returns:
        The numbers, NaN where there is none, and a mask of the values that are there but are no
        finite numbers (None when all are good).
    """
    if set(map(type, column)) <= {float, int, type(None)}:
        try:
            plain = floats(cast("Sequence[float | None]", column))
        except OverflowError:
            pass
        else:
            if not np.isinf(plain).any():
                return plain, None
    found = np.array([_number(value) for value in column], dtype=np.float64)
    bad = np.isinf(found)
    found[bad] = np.nan
    return found, bad if bad.any() else None


def _number(value: object) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return float("inf")
    try:
        return float(value)
    except OverflowError:
        return float("inf")
