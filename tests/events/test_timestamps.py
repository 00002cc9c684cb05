"""Timestamps of every usual form are the same moment."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.events.timestamps import EARLIEST, LATEST, to_ms

MOMENT = 1_700_000_000_123

datetimes = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001  # hypothesis wants naive bounds
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001  # as above
    timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))),
)


def oracle(moment: Any) -> Any:
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return delta // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "value",
    [
        "2023-11-14T22:13:20.123Z",
        "2023-11-14t22:13:20.123z",
        "2023-11-14 22:13:20.123Z",
        "2023-11-14T22:13:20.123456Z",
        "2023-11-14T22:13:20.123999999Z",
        "2023-11-14T23:13:20.123+01:00",
        "2023-11-14T17:43:20.123-04:30",
        1_700_000_000.123,
        MOMENT,
        float(MOMENT),
        MOMENT * 1000 + 999,
        MOMENT * 1_000_000 + 999_999,
        MOMENT * 1000.0,
    ],
)
def test_all_forms_of_a_moment_are_that_moment(value: Any) -> None:
    ts, bad = to_ms([value])
    assert bad is None
    assert ts.tolist() == [MOMENT]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "now",
        "2023-11-14",
        "2023-11-14T22:13:20",
        "2023-11-14T22:13:20.",
        "2023-11-14T22:13:20.Z",
        "2023-02-29T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "2023-00-01T00:00:00Z",
        "2023-01-00T00:00:00Z",
        "2023-01-01T24:00:00Z",
        "2023-01-01T00:60:00Z",
        "2023-01-01T00:00:61Z",
        "2023-01-01T00:00:00+24:00",
        "2023-01-01T00:00:00+00:60",
        "2023-01-01T00:00:00+0000",
        "2023-01-01T00:00:00 00:00",
        "2023/01/01T00:00:00Z",
        "2023-01-01T00:00:0xZ",
        "\uff12\uff10\uff12\uff13-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2023-01-01T00:00:00." + "1" * 100 + "Z",
        None,
        True,
        [],
        {},
        float("nan"),
        float("inf"),
        1e300,
        -1e300,
        10**400,
        -(10**400),
        -(2**63),
        2**63,
    ],
)
def test_what_is_no_timestamp_is_refused(value: Any) -> None:
    ts, bad = to_ms([value, MOMENT])
    assert bad is not None
    assert bad.tolist() == [True, False]
    assert ts.tolist() == [0, MOMENT]


@settings(max_examples=200, deadline=None)
@given(st.lists(datetimes, min_size=1, max_size=8), st.sampled_from(["auto", "milliseconds"]))
def test_strings_agree_with_the_standard_library(moments: Any, precision: Any) -> None:
    ts, bad = to_ms([moment.isoformat(timespec=precision) for moment in moments])
    assert bad is None
    assert ts.tolist() == [oracle(moment) for moment in moments]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            datetimes.map(lambda moment: moment.isoformat()),
            st.integers(-(2**66), 2**66),
            st.floats(),
            st.booleans(),
            st.text(max_size=30),
            st.text("0123456789-:.TZ+", min_size=18, max_size=26),
        ),
        max_size=10,
    )
)
def test_a_value_means_the_same_in_any_company(values: Any) -> None:
    ts, bad = to_ms(values)
    alone = [to_ms([value]) for value in values]
    assert ts.tolist() == [int(one[0][0]) for one in alone]
    flags = np.zeros(len(values), dtype=bool) if bad is None else bad
    assert flags.tolist() == [one[1] is not None for one in alone]
    assert ((ts >= EARLIEST) & (ts <= LATEST)).all()


@pytest.mark.parametrize(
    ("year", "leap"), [(1900, False), (2000, True), (2023, False), (2024, True)]
)
def test_the_29th_of_february_exists_in_leap_years_alone(year: Any, leap: Any) -> None:
    assert (to_ms([f"{year}-02-29T00:00:00Z"])[1] is None) == leap
