"""Say precisely what is wrong with a record, without quoting it."""

import json
import math
import re
from typing import Any

import msgspec

from streams.events.reasons import Reason

_ANYTHING = msgspec.json.Decoder()
_EXPECTED = re.compile(r"Expected `(?P<expected>.*?)`(?: of .*?)?, got `(?P<got>.*?)`")
_MISSING = re.compile(r"missing required field `(?P<field>[^`]*)`")
_PATH = re.compile(r" - at `(?P<path>[^`]*)`$")
_NAMES = {"float": "number", "int": "number", "str": "string", "bool": "true or false"}
_HUGE_DIGITS = 400  # more digits than any float has before its decimal point
_TOO_DEEP = "nested too deeply"
_BOM = b"\xef\xbb\xbf"

# Python 3.12 lets parsers recurse deeper than its own functions, so what was parsed may still be
# nested too deeply for what comes after.

#: What decoding a record can raise: deep nesting, integers beyond any float, and all kinds of
#: ``ValueError``.
DECODE_ERRORS = (ValueError, RecursionError, OverflowError)


def diagnose(value: bytes, error: Exception) -> tuple[Reason, str]:
    """Explain why a record could not be decoded.

    A typed decoder reports the first field that does not fit and reads no further, so whether the
    rest is JSON at all is asked first.
    """
    try:
        _ANYTHING.decode(value)
    except msgspec.ValidationError:
        return Reason.NOT_FINITE, _out_of_range(error)
    except DECODE_ERRORS as problem:
        return Reason.BAD_JSON, _malformed(value, problem)
    return explain(error)


def explain(error: Exception) -> tuple[Reason, str]:
    """Explain why well-formed content does not fit."""
    if isinstance(error, RecursionError):
        return Reason.BAD_JSON, _TOO_DEEP
    message = str(error)
    path = _path(message)
    if found := _MISSING.search(message):
        field = found["field"]
        return Reason.MISSING_FIELD, f"{path}.{field}: required" if path else f"{field}: required"
    if "out of range" in message:
        return Reason.NOT_FINITE, _out_of_range(error)
    if found := _EXPECTED.search(message):
        expected = " or ".join(
            dict.fromkeys(
                _NAMES.get(kind, kind) for kind in found["expected"].split(" | ") if kind != "null"
            )
        )
        got = _NAMES.get(found["got"], found["got"])
        return Reason.WRONG_TYPE, f"{path or 'the event'}: expected {expected}, got {got}"
    return Reason.WRONG_TYPE, f"{path or 'the event'}: not of the expected form"


def parse_leniently(value: bytes) -> Any:
    """Parse a JSON document, letting numbers that are too large in as infinity.

    One such number makes strict parsers refuse the whole document; in a batch it must cost only
    its own row.

    Raises:
        ValueError: the document is malformed in another way.
        RecursionError: it is nested too deeply.
    """
    try:
        return _ANYTHING.decode(value)
    except msgspec.ValidationError:
        document = json.loads(value, parse_int=_integer, parse_constant=_refuse)
        msgspec.json.encode(document)  # refuses lone surrogates, as the strict parser does
        return document


def has_infinity(value: object) -> bool:
    """Tell whether a parsed document holds a number that was too large."""
    if isinstance(value, float):
        return math.isinf(value)
    if isinstance(value, dict):
        return any(map(has_infinity, value.values()))
    return isinstance(value, list) and any(map(has_infinity, value))


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < _HUGE_DIGITS else math.inf


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _path(message: str) -> str:
    found = _PATH.search(message)
    return found["path"].removeprefix("$").removeprefix(".").replace("[...]", "") if found else ""


def _out_of_range(error: Exception) -> str:
    path = _path(str(error))
    return f"{path}: number out of range" if path else "a number is out of range"


def _malformed(value: bytes, problem: Exception) -> str:
    if isinstance(problem, RecursionError):
        return _TOO_DEEP
    if value.startswith(_BOM):
        return "starts with a byte order mark"
    if isinstance(problem, UnicodeDecodeError):
        return "not UTF-8"
    return str(problem)
