"""Durations as people write them: ``500ms``, ``30s``, ``5m``, ``24h``, ``7d``, ``0``."""

import re
from typing import Annotated, TypeGuard

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
LONGEST_MS = 3_650 * UNITS_MS["d"]

_PATTERN = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(ms|s|m|h|d)", re.ASCII)
SCHEMA_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d)|0)$"


def parse_duration(value: object) -> int:
    """Read a duration as whole milliseconds.

    Args:
        value: number and unit in one string, such as ``30s`` or ``1.5h``; or plain 0.

    Raises:
        ValueError: the value is no duration, is not whole milliseconds, or exceeds ten years.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if (number and value == 0) or value == "0":
        return 0
    if number:
        raise ValueError(f"a duration needs a unit: write {value}s, {value}m or {value}ms")
    match = _PATTERN.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration is a number and one unit, such as 500ms, 30s, 5m, 24h or 7d")
    digits, unit = str(match[1]), str(match[2])
    whole, _, fraction = digits.partition(".")
    scale: int = 10 ** len(fraction)
    milliseconds, rest = divmod(int(whole + fraction) * UNITS_MS[unit], scale)
    if rest:
        raise ValueError("a duration is a whole number of milliseconds")
    if milliseconds > LONGEST_MS:
        raise ValueError("a duration is at most 3650d")
    return milliseconds


def format_duration(milliseconds: int) -> str:
    """Write milliseconds in the largest unit that divides them."""
    if milliseconds == 0:
        return "0"
    for unit in ("d", "h", "m", "s"):
        if milliseconds % UNITS_MS[unit] == 0:
            return f"{milliseconds // UNITS_MS[unit]}{unit}"
    return f"{milliseconds}ms"


def from_code(value: object, info: ValidationInfo) -> TypeGuard[int]:
    """Tell milliseconds that code passes from a number without a unit in a file.

    Files are validated in a context, which code has no need of.
    """
    return info.context is None and isinstance(value, int) and not isinstance(value, bool)


def _validate(value: object, info: ValidationInfo) -> int:
    if from_code(value, info):
        return value
    try:
        return parse_duration(value)
    except ValueError as error:
        raise PydanticCustomError("duration", "{reason}", {"reason": str(error)}) from None


DurationSchema = WithJsonSchema(
    {
        "description": "A number and a unit: 500ms, 30s, 5m, 24h, 7d; or 0.",
        "type": ["string", "integer"],
        "pattern": SCHEMA_PATTERN,
        "minimum": 0,
        "maximum": 0,
    },
    mode="validation",
)
DurationSerializer = PlainSerializer(format_duration, return_type=str, when_used="json")

Duration = Annotated[int, BeforeValidator(_validate), DurationSerializer, DurationSchema]
"""Milliseconds in Python, text such as ``30s`` in YAML and JSON."""

PositiveDuration = Annotated[
    int, BeforeValidator(_validate), Field(gt=0), DurationSerializer, DurationSchema
]
"""As ``Duration``, but never 0."""
