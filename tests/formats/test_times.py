"""Points in time are read as every part of the pipeline reads them."""

from datetime import UTC, date, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.events import timestamps
from streams.formats.times import to_ms, to_wire

MOMENT = 1_767_350_096_789


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-02T10:34:56.789Z",
        "2026-01-02T12:34:56.789+02:00",
        "2026-01-02 10:34:56.789",
        "2026-01-02T10:34:56.789012Z",
        1_767_350_096.789,
        MOMENT,
        str(MOMENT),
        "1767350096.789",
        float(MOMENT),
        MOMENT * 1_000 + 12,
        MOMENT * 1_000_000 + 12,
        datetime(2026, 1, 2, 10, 34, 56, 789_000, UTC),
        datetime(2026, 1, 2, 10, 34, 56, 789_000),  # noqa: DTZ001 - zoneless is UTC
        datetime(2026, 1, 2, 12, 34, 56, 789_000, timezone(timedelta(hours=2))),
    ],
    ids=repr,
)
def test_all_spellings_of_a_moment_are_the_same(value: object) -> None:
    assert to_ms(value) == MOMENT


def test_a_date_is_its_midnight_in_utc() -> None:
    assert to_ms(date(2026, 1, 2)) == to_ms("2026-01-02") == to_ms("2026-01-02 00:00:00")


@pytest.mark.parametrize(
    "value", [None, True, "", "soon", "nan", float("inf"), float("nan"), [], "2026-13-01", 1e30]
)
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not a point in time"):
        to_ms(value)


@given(st.integers(-62_000_000_000_000, 250_000_000_000_000))
def test_what_an_event_carries_reads_back_as_the_same_moment(ms: int) -> None:
    wire = to_wire(ms)
    assert to_ms(wire) == ms
    # The pipeline's own reader agrees.
    read, bad = timestamps.to_ms([orjson.loads(orjson.dumps(wire))])
    assert bad is None
    assert read[0] == ms
