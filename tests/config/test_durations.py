import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from streams.config.durations import (
    LONGEST_MS,
    UNITS_MS,
    Duration,
    PositiveDuration,
    format_duration,
    parse_duration,
)


@given(st.integers(0, LONGEST_MS))
def test_a_written_duration_is_read_back_to_the_millisecond(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds)) == milliseconds


@given(st.integers(0, 3_650), st.sampled_from(sorted(UNITS_MS)))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == number * UNITS_MS[unit]


@given(st.integers(1, LONGEST_MS))
def test_a_duration_is_written_in_the_largest_unit_that_divides_it(milliseconds: int) -> None:
    unit = format_duration(milliseconds).lstrip("0123456789")
    larger = [size for size in UNITS_MS.values() if size > UNITS_MS[unit]]
    assert all(milliseconds % size for size in larger)


@given(st.text(max_size=8))
def test_text_is_a_duration_or_refused_and_nothing_else_happens(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= parse_duration(text) <= LONGEST_MS


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("500ms", 500), ("1.5h", 5_400_000), ("0.001s", 1), ("7d", 604_800_000), (0, 0), ("0", 0)],
)
def test_people_write_durations_like_this(text: object, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (30, "write 30s, 30m or 30ms"),
        (2.5, "write 2.5s"),
        ("30", "a number and one unit"),
        ("30 s", "a number and one unit"),
        ("1h30m", "a number and one unit"),
        ("-5s", "a number and one unit"),
        ("0.5ms", "whole number of milliseconds"),
        ("3651d", "at most 3650d"),
        ("9" * 5_000 + "d", "a number and one unit"),
        ("٣s", "a number and one unit"),
        (True, "a number and one unit"),
        (None, "a number and one unit"),
        ([], "a number and one unit"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_to_write(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_duration(value)


def test_code_passes_milliseconds_but_a_file_must_name_the_unit() -> None:
    adapter = TypeAdapter(Duration)
    assert adapter.validate_python(250) == 250
    with pytest.raises(ValidationError, match="write 250s"):
        adapter.validate_python(250, context={})


def test_a_positive_duration_is_not_zero() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        TypeAdapter(PositiveDuration).validate_python("0")


def test_json_holds_durations_as_text() -> None:
    assert TypeAdapter(Duration).dump_json(90_000) == b'"90s"'
