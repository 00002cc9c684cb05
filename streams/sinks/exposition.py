"""The text format of Prometheus, version 0.0.4: escaping, label blocks and families.

Written for bulk gauges that are rendered again and again: a label block is built once and kept
(prometheus_client builds it anew at every scrape, which takes ten times as long).
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LONGEST_LABEL_VALUE = 128

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


def sample(name: str, block: str, value: float) -> str:
    """Write one line, without its end.

    Whole numbers are written without a point; others so that they read back exactly.
    """
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return f"{name}{block} {int(value)}"
    return f"{name}{block} {float(value)!r}"


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
