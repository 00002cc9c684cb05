import numpy as np
from core.monitor.worlds import START
from hypothesis import given
from hypothesis import strategies as st

from streams.core.cell import Cell, merged
from streams.core.monitor.admission import OTHER, Admission
from streams.core.monitor.panes import Panes, Series
from streams.core.sums import Sums

PANE = 60_000
ONE, TWO = Series("v1", "*"), Series("v2", "*")


def add(panes: Panes, series: Series, pane: int, amount: float, moment: int) -> bool:
    cell = panes.cell(series, START + pane * PANE, moment)
    if cell is None:
        return False
    cell.merge(
        Cell(
            dense={"counts": np.array([amount])},
            sparse={"score": Sums.of({3: amount})},
            moments={"x": np.array([amount, 2.0, 0.5])},
        )
    )
    return True


def count(panes: Panes, series: Series, low: int, high: int) -> float:
    cell = panes.merged(series, START + low * PANE, START + high * PANE)
    return 0.0 if cell is None else float(cell.dense["counts"][0])


def test_a_window_is_the_merge_of_its_panes() -> None:
    panes = Panes(PANE, 5 * PANE)
    for pane in range(5):
        add(panes, ONE, pane, 2.0**pane, pane)
    add(panes, TWO, 3, 100.0, 9)
    assert count(panes, ONE, 1, 4) == 14
    assert count(panes, ONE, 5, 9) == 0
    start = START + PANE
    assert panes.series_between(start, start + 3 * PANE) == {ONE: 3, TWO: 9}
    assert len(panes) == 6


def test_merging_leaves_the_panes_as_they_are() -> None:
    panes = Panes(PANE, 5 * PANE)
    add(panes, ONE, 0, 1.0, 0)
    window = panes.merged(ONE, START, START + PANE)
    assert window is not None
    window.merge(window)
    assert count(panes, ONE, 0, 1) == 1


def test_a_dropped_pane_refuses_news() -> None:
    panes = Panes(PANE, 5 * PANE)
    add(panes, ONE, 0, 1.0, 0)
    add(panes, ONE, 1, 1.0, 0)
    panes.drop(START + 1)
    assert count(panes, ONE, 0, 2) == 1
    assert not add(panes, ONE, 0, 1.0, 0)
    assert add(panes, ONE, 1, 1.0, 0)


def test_rest_and_restore_change_nothing() -> None:
    panes, plain = Panes(PANE, 5 * PANE), Panes(PANE, 5 * PANE)
    for pane in range(4):
        for each in (panes, plain):
            add(each, ONE, pane, 0.1 * pane, pane)
    panes.rest(2)
    fresh = Panes(PANE, 5 * PANE)
    fresh.restore(panes.snapshot())
    for each in (fresh, plain):
        add(each, ONE, 0, 0.7, 5)
        add(each, ONE, 3, 0.7, 5)
    whole = (START, START + 4 * PANE)
    ours, theirs = fresh.merged(ONE, *whole), plain.merged(ONE, *whole)
    assert ours is not None
    assert theirs is not None
    assert ours.to_bytes() == theirs.to_bytes()
    assert fresh.series_between(*whole) == plain.series_between(*whole) == {ONE: 5}


def test_nothing_merged_is_nothing() -> None:
    assert merged([None, None]) is None


def test_names_are_admitted_first_come_until_there_is_no_room() -> None:
    admission = Admission(2)
    assert [admission.admit(n, 1) for n in "abcab"] == ["a", "b", OTHER, "a", "b"]
    assert admission.refused == 1


def test_a_name_without_news_makes_room() -> None:
    admission = Admission(2)
    admission.admit("a", 1)
    admission.admit("b", 5)
    again = Admission(2)
    again.restore(admission.snapshot())
    assert again.retire(5) == ["a"]
    assert again.admit("c", 6) == "c"
    assert again.admit("a", 6) == OTHER


class Plain:
    """Panes as a table of single additions."""

    def __init__(self) -> None:
        self.added: list[tuple[Series, int, float, int]] = []

    def drop(self, before: int) -> None:
        self.added = [row for row in self.added if START + row[1] * PANE >= before]

    def touched(self, low: int, high: int) -> dict[Series, int]:
        found: dict[Series, int] = {}
        for series, pane, _, moment in self.added:
            if low <= pane < high:
                found[series] = max(moment, found.get(series, moment))
        return found

    def count(self, series: Series, low: int, high: int) -> float:
        return sum(
            amount for s, pane, amount, _ in self.added if s == series and low <= pane < high
        )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 1), st.integers(0, 40)),
        st.tuples(st.just("drop"), st.integers(0, 0), st.integers(0, 20)),
        st.tuples(st.just("rest"), st.integers(0, 0), st.integers(0, 30)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
        st.tuples(st.just("ask"), st.integers(0, 40), st.integers(1, 30)),
    ),
    max_size=40,
)


@given(STEPS, st.integers(1, 30))
def test_windows_are_right_whatever_was_asked_dropped_packed_or_restored_before(
    steps: list[tuple[str, int, int]], largest: int
) -> None:
    panes, plain, dropped = Panes(PANE, largest * PANE), Plain(), START
    for moment, (what, first, second) in enumerate(steps):
        if what == "add":
            series = (ONE, TWO)[first]
            if add(panes, series, second, float(moment + 1), moment):
                plain.added.append((series, second, float(moment + 1), moment))
            else:
                assert START + second * PANE < dropped
        elif what == "drop":
            dropped = max(dropped, START + second * PANE - PANE // 2)
            panes.drop(dropped)
            plain.drop(dropped)
        elif what == "rest":
            panes.rest(second)
        elif what == "restart":
            fresh = Panes(PANE, largest * PANE)
            fresh.restore(panes.snapshot())
            panes = fresh
        else:
            low, high = first, first + second
            span = START + low * PANE, START + high * PANE
            assert panes.series_between(*span) == plain.touched(low, high)
            for series in (ONE, TWO):
                assert count(panes, series, low, high) == plain.count(series, low, high)
    assert len(panes) == len({(series, pane) for series, pane, *_ in plain.added})
    assert bool(panes) == bool(plain.added)
