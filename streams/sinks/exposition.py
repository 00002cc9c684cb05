"""The text format of Prometheus, version 0.0.4: escaping, label blocks and families.

Written for bulk gauges that are rendered again and again: a label block is built once and kept
(prometheus_client builds it anew at every scrape, which takes ten times as long).
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LONGEST_LABEL_VALUE = 128

_EXACT = 1e15
"""Below it, whole numbers are written without a point."""
_SMALLEST_PLAIN = 1e-4
"""From it on, Python writes no exponent."""

Kind = Literal["gauge", "counter"]


class Family(NamedTuple):
    """A metric: its name, what it is, and one line of help."""

    name: str
    kind: Kind
    help: str


_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})


def label_value(text: str) -> str:
    """Escape a label's value, and shorten it when it is longer than 128 characters.

    What is cut off leaves its digest behind, so that two long values stay two series. Lone
    surrogates, which UTF-8 cannot carry, become question marks.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) > LONGEST_LABEL_VALUE:
        digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        text = f"{text[: LONGEST_LABEL_VALUE - 1 - len(digest)]}~{digest}"
    return text.translate(_ESCAPES)


def label_block(labels: Iterable[tuple[str, str]]) -> str:
    r"""Write labels as they stand between a metric's name and its value.

    >>> label_block([("model", 'a"b'), ("window", "5m")])
    '{model="a\\"b",window="5m"}'
    """
    inside = ",".join(f'{name}="{label_value(value)}"' for name, value in labels)
    return f"{{{inside}}}" if inside else ""


def number(value: float) -> str:
    """Write a number: whole ones without a point, others so that they read back exactly."""
    if math.isfinite(value) and value == int(value) and abs(value) < _EXACT:
        return str(int(value))
    return repr(float(value))


def numbers(values: NDArray[np.float64]) -> list[str]:
    """Write numbers, each as ``number`` does, in a tenth of the time.

    orjson writes the same shortest digits, but other exponents, and no infinities: numbers that
    need either are written one by one.
    """
    if not values.size:
        return []
    # adding 0 makes 0 of -0
    text = orjson.dumps(values + 0.0, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    written = f"{text[1:-1]},".replace(".0,", ",").split(",")
    del written[-1]
    size = np.abs(values)
    plain = (size < _EXACT) & ((size >= _SMALLEST_PLAIN) | (size == 0))
    for index in np.flatnonzero(~plain).tolist():
        written[index] = number(float(values[index]))
    return written


def sample(name: str, block: str, value: float) -> str:
    """Write one line, without its end."""
    return f"{name}{block} {number(value)}"


def render(families: Mapping[Family, Iterable[str]]) -> bytes:
    """Write families in order of their names; those without samples are left out."""
    lines: list[str] = []
    for family in sorted(families):
        samples = list(families[family])
        if samples:
            lines.append(f"# HELP {family.name} {family.help.translate(_HELP_ESCAPES)}")
            lines.append(f"# TYPE {family.name} {family.kind}")
            lines.extend(samples)
    if not lines:
        return b""
    lines.append("")
    return "\n".join(lines).encode("utf-8")
