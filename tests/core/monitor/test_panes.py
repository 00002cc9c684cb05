import numpy as np
from core.monitor.worlds import START

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
