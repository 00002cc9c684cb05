"""Whatever a label holds, a Prometheus parser reads the same."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from streams.sinks.exposition import (
    Family,
    label_block,
    label_value,
    number,
    numbers,
    render,
    sample,
)

FAMILY = Family("driftline_thing", "gauge", "A thing.")
texts = st.text(st.characters(codec="utf-8"), max_size=60)


def parse(page: bytes) -> list[tuple[str, dict[str, str], float]]:
    return [
        (s.name, s.labels, s.value)
        for family in text_string_to_metric_families(page.decode())
        for s in family.samples
    ]


@given(st.lists(texts, min_size=1, max_size=4), st.floats(allow_nan=False))
def test_any_text_in_a_label_and_any_number_survive_the_round_trip(
    values: list[str], number: float
) -> None:
    labels = {f"l{index}": value for index, value in enumerate(values)}
    page = render({FAMILY: [sample(FAMILY.name, label_block(labels.items()), number)]})
    assert parse(page) == [(FAMILY.name, labels, number)]


@given(st.text(min_size=129, max_size=300), st.text(min_size=129, max_size=300))
def test_a_long_label_value_is_cut_and_stays_apart_from_others(one: str, other: str) -> None:
    ((_, labels, _),) = parse(
        render({FAMILY: [sample(FAMILY.name, label_block([("a", one)]), 1.0)]})
    )
    assert len(labels["a"]) == 128
    same = one.encode("utf-8", "replace") == other.encode("utf-8", "replace")
    assert (label_value(one) == label_value(other)) == same


def test_a_lone_surrogate_becomes_a_question_mark() -> None:
    assert label_value("a\ud800b") == "a?b"


def test_families_come_in_order_with_help_and_type_and_empty_ones_not_at_all() -> None:
    page = render({
        Family("b_total", "counter", "Second \\ line\nbreak."): ["b_total 2"],
        Family("c", "gauge", "None."): [],
        Family("a", "gauge", "First."): ["a 1"],
    })  # fmt: skip
    assert page.decode() == (
        "# HELP a First.\n# TYPE a gauge\na 1\n"
        "# HELP b_total Second \\\\ line\\nbreak.\n# TYPE b_total counter\nb_total 2\n"
    )
    assert render({}) == b""


@pytest.mark.parametrize(
    ("number", "text"),
    [(3.0, "3"), (0.1, "0.1"), (1e16, "1e+16"), (-2.0, "-2"), (math.inf, "inf")],
)
def test_numbers_are_written_short_and_exact(number: float, text: str) -> None:
    assert sample("a", "", number) == f"a {text}"


@given(
    st.lists(
        st.floats()
        | st.integers(-(2**53), 2**53).map(float)
        | st.floats(-1.0, 1.0)
        | st.integers(-20, 20).map(lambda exponent: 10.0**exponent)
    )
)
def test_numbers_written_together_are_written_as_each_alone(values: list[float]) -> None:
    assert numbers(np.array(values, np.float64)) == [number(value) for value in values]
