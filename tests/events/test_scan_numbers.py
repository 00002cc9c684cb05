"""Numbers read by compiled loops are those that Python reads, to the last bit."""

import math
import random
import struct
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.events.scan_numbers import read_number


def read(text: str) -> tuple[float, bool]:
    data = np.frombuffer(text.encode() + b",9", np.uint8)
    value, end, known = read_number(data, 0, len(data))
    assert not known or end == len(text)
    return value, known


def same(a: float, b: float) -> bool:
    return struct.pack("d", a) == struct.pack("d", b)


def share_read(texts: list[str]) -> float:
    found = [(text, *read(text)) for text in texts]
    wrong = [text for text, value, known in found if known and not same(value, float(text))]
    assert not wrong
    return sum(known for _, _, known in found) / len(found)


@settings(deadline=None, max_examples=300)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_in_its_shortest_form_is_read_exactly(value: Any) -> None:
    found, known = read(repr(value))
    assert not known or same(found, value)


def test_usual_numbers_are_all_read() -> None:
    rng = random.Random(1)
    assert share_read([repr(rng.gauss(0, 10 ** rng.randint(-4, 9))) for _ in range(20_000)]) == 1
    assert share_read([str(rng.getrandbits(rng.randint(1, 62))) for _ in range(5_000)]) > 0.98
    texts = [f"{rng.getrandbits(63)}e{rng.randint(-340, 300)}" for _ in range(20_000)]
    assert share_read(texts) > 0.9


def test_numbers_beside_the_middle_of_two_doubles_are_right_or_left_alone() -> None:
    rng = random.Random(2)
    texts = []
    for _ in range(20_000):
        low = math.ldexp(rng.random() + 0.5, rng.randint(-60, 60))
        middle = (Fraction(low) + Fraction(math.nextafter(low, math.inf))) / 2
        digits = str(int(middle * 10**60))
        exponent = len(digits) - 19 - 60
        texts.append(f"{int(digits[:19]) + rng.randint(-1, 1)}e{exponent}")
    assert share_read(texts) > 0.9
    ties = [f"{((1 << 53) | rng.getrandbits(52) << 1 | 1) >> 1}.5" for _ in range(2_000)]
    share_read(ties)
    share_read([str((1 << 53) + 2 * rng.getrandbits(20) + 1) for _ in range(2_000)])


@settings(deadline=None)
@given(st.text(alphabet="0123456789.eE+-", min_size=1, max_size=12))
def test_what_is_no_json_number_is_left_alone(text: Any) -> None:
    if text[0] not in "-0123456789":
        return
    data = np.frombuffer(text.encode(), np.uint8)
    value, end, known = read_number(data, 0, len(data))
    if known:
        assert same(value, float(text[:end]))
        whole = text[:end].lstrip("-").split("e")[0].split("E")[0].split(".")[0]
        assert whole == "0" or not whole.startswith("0")
