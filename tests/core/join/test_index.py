"""Ids lead to their predictions, whatever their hashes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from core.join.topics import MODELS, settings_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streams.core.join.groups import CAP_FACTOR, MISSING_VALUE, OTHER_VALUE, Groups
from streams.core.join.index import ABSENT, LATE
from streams.core.join.pages import PAGE_BITS, PAGE_ROWS, Kind, NewRows, PageStore
from streams.core.join.waiting import Waiting
from streams.events.columns import MISSING, Coded, PredictionBlock
from streams.events.ids import Ids

Ints = NDArray[np.int64]
IDS = [*"abcdefghij", "é", "日本", "x" * 300, "🙂🙂", "\x00", "a\x00b"]
HASHES = {
    "its own": lambda ids: ids.hashes,
    "one for all": lambda ids: np.full(len(ids), 7, dtype=np.int64),
    "by length": lambda ids: ids.size,
}


@contextmanager
def forged(kind: str) -> Iterator[None]:
    """Let ids have other hashes than their own."""
    spans = Ids.spans

    def forge(*columns: Any) -> Ids:
        ids = spans(*columns)
        ids.hashes = HASHES[kind](ids)
        return ids

    with patch.object(Ids, "spans", forge):
        yield


def rows_of(ids: list[str], ts: int = 0) -> NewRows:
    n = len(ids)
    return NewRows(
        Ids.of(ids), np.full(n, ts, dtype=np.int64), np.zeros(n, dtype=np.int32), np.zeros(n)
    )


KIND = Kind("m", 0, 0, regression=False, horizon=10, retention=20)


def find(waiting: Waiting, ids: Ids) -> Ints:
    """Row of each id, as long ago as can be."""
    return waiting.index.locate(ids, -(2**62))[0]


def add(waiting: Waiting, kind: Kind, rows: NewRows, moment: int = 0) -> Ints:
    """Rows of the ids, all of which must be new."""
    fresh, slots = waiting.index.admit(rows.ids, moment)
    assert fresh.all()
    waiting.add(kind, rows, slots)
    return find(waiting, rows.ids)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 60), max_size=30), st.integers(0, 9), st.booleans()),
        max_size=20,
    ),
    st.sampled_from(list(HASHES)),
)
def test_memory_finds_what_a_dictionary_finds(
    steps: list[tuple[list[int], int, bool]], kind: str
) -> None:
    """Of equal ids the first counts, until its retention is over; rows go by whole pages."""
    with forged(kind):
        waiting = Waiting()
        known: dict[str, int] = {}
        now = 0
        serial = 0
        for keys, passed, turn in steps:
            now += passed
            for _ in waiting.expire(now):
                pass
            names = [f"id-{k}" * (k % 3 + 1) for k in keys]
            wanted = []
            for one in names:
                wanted.append(one not in known or known[one] + KIND.retention < now)
                if wanted[-1]:
                    known[one] = now
            if names:
                ids = Ids.of(names)
                fresh, slots = waiting.index.admit(ids, now)
                assert fresh.tolist() == wanted
                kept = np.flatnonzero(fresh)
                if len(kept):
                    rows = rows_of([names[i] for i in kept.tolist()], now)
                    waiting.add(replace(KIND, name=f"m{serial}"), rows, slots[kept])
            serial += turn
            asked = [f"id-{k}" * (k % 3 + 1) for k in range(61)]
            places, code = waiting.index.locate(Ids.of(asked), now)
            for one, place, found in zip(asked, places.tolist(), code.tolist(), strict=True):
                age = now - known.get(one, -(10**6))
                if age > KIND.retention:
                    assert found == ABSENT
                else:
                    assert found == (LATE if age > KIND.horizon else KIND.code)
                    assert waiting.store.rows["ts"][place] == known[one]
                    assert waiting.store.id_bytes(place) == one.encode()
        assert len(waiting.index) <= len(waiting.store)
        for _ in waiting.expire(now + 100):
            pass
        assert not waiting.store.pages
        assert not len(waiting.index)


def test_the_index_grows_shrinks_and_stays_small() -> None:
    waiting = Waiting()
    for start in range(0, 300_000, 5_000):
        now = start
        for _ in waiting.expire(now):
            pass
        names = [f"{i:036d}" for i in range(start, start + 5_000)]
        rows = rows_of(names, now)
        add(waiting, replace(KIND, horizon=50_000, retention=100_000), rows, now)
        recent = [f"{i:036d}" for i in range(max(0, now - 100_000), now + 5_000, 7)]
        assert (find(waiting, Ids.of(recent)) >= 0).all()
    count = len(waiting.index)
    assert 100_000 <= count <= 115_000
    assert waiting.index.nbytes / count < 13
    assert (waiting.store.nbytes + waiting.index.nbytes) / count < 64
    for _ in waiting.expire(10**9):
        pass
    assert not len(waiting.index)
    assert waiting.nbytes < 1 << 20


@pytest.mark.parametrize("kind", list(HASHES))
def test_rows_put_back_are_found_where_they_were(kind: str) -> None:
    with forged(kind):
        first = Waiting()
        handles = first.store.handles(add(first, KIND, rows_of(IDS)))
        second = Waiting()
        for page, start in first.store.harvest():
            rows = first.store.columns(page, start)
            second.put_back(KIND, page.number, start, rows)
        found = find(second, Ids.of(IDS))
        assert second.store.handles(found).tolist() == handles.tolist()
        assert second.store.rows_of(handles).tolist() == found.tolist()


@pytest.mark.parametrize("kind", list(HASHES))
def test_an_id_that_was_given_again_leads_to_its_newest_row_after_a_restart(kind: str) -> None:
    with forged(kind):
        waiting = Waiting()
        for row, page in enumerate((0, 0, 1)):
            waiting.put_back(KIND, page, row % 2, rows_of(["a"], row))
        both = rows_of(["b", "a", "b"], 9)
        both.ts[:] = [7, 8, 9]
        waiting.put_back(KIND, 2, 0, both)
        found = find(waiting, Ids.of(["a", "b"]))
        assert waiting.store.rows["ts"][found].tolist() == [8, 9]
        assert len(waiting.index) == 2


@given(
    st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=5), min_size=1, max_size=6),
    st.lists(st.integers(1, 30_000), max_size=3),
)
@settings(max_examples=40, deadline=None)
def test_ids_come_back_from_pages_as_they_went_in(parts: list[list[str]], long: list[int]) -> None:
    store = PageStore()
    parts = [*parts, *(["x" * n] for n in long), ["last"]]
    for part in parts:
        for _ in store.append(KIND, rows_of(part)):
            pass
    whole = [one for part in parts for one in part]
    page = store.pages[0]
    assert list(store.ids(page)) == whole
    assert list(store.ids(page, 1)) == whole[1:]
    assert [store.id_bytes(row).decode() for row in range(len(whole))] == whole


def test_many_rows_fill_page_after_page_and_only_whole_pages_go() -> None:
    waiting = Waiting()
    ids = [f"id-{i}" for i in range(2 * PAGE_ROWS + 10)]
    rows = rows_of(ids)
    rows.ts[:] = np.arange(len(ids))
    kind = replace(KIND, horizon=5, retention=PAGE_ROWS)
    places = add(waiting, kind, rows)
    store = waiting.store
    assert [(p.number, start, p.used) for p, start in store.harvest()] == [
        (0, 0, PAGE_ROWS), (1, 0, PAGE_ROWS), (2, 0, 10),
    ]  # fmt: skip
    assert store.rows["ts"][places].tolist() == list(range(len(ids)))
    handles = store.handles(places)
    assert handles.tolist() == list(range(len(ids)))
    expired = [len(unmet) for _, unmet in waiting.expire(2 * PAGE_ROWS)]
    assert expired == [PAGE_ROWS, PAGE_ROWS - 5]
    assert sorted(store.pages) == [1, 2]
    assert (store.rows_of(handles) >= 0).tolist() == [False] * PAGE_ROWS + [True] * (PAGE_ROWS + 10)
    assert (find(waiting, rows.ids) >= 0).tolist() == (store.rows_of(handles) >= 0).tolist()
    # The place of the page that is gone is taken by the next one.
    more = rows_of([f"more-{i}" for i in range(PAGE_ROWS)], 2 * PAGE_ROWS)
    assert add(waiting, kind, more).min() == 0
    assert store.handles(find(waiting, more.ids)).tolist() == list(
        range(2 * PAGE_ROWS + 10, 3 * PAGE_ROWS + 10)
    )


def test_handles_are_never_given_out_twice_after_a_restart() -> None:
    first = Waiting()
    add(first, KIND, rows_of(["a", "b"]))
    gone = first.store.handles(add(first, KIND, rows_of(["c"])))
    again = Waiting()
    again.put_back(KIND, 0, 0, rows_of(["a", "b"]))
    again.store.reopen(first.store.open_pages(), first.store.next_page)
    assert (again.store.rows_of(gone) >= 0).all()
    added = again.store.handles(add(again, KIND, rows_of(["d"])))
    assert added.tolist() == (gone + 1).tolist()
    assert again.store.waiting() == 3
    assert (find(again, Ids.of(["", "c"])) == ABSENT).all()
    empty = Waiting()
    empty.store.reopen({}, first.store.next_page)
    handles = empty.store.handles(add(empty, KIND, rows_of(["e"])))
    assert handles[0] >> PAGE_BITS == first.store.next_page


# -- groups -----------------------------------------------------------------------------------


def block_of(countries: list[str | None], version: str = "1") -> PredictionBlock:
    n = len(countries)
    values = list(dict.fromkeys(c for c in countries if c is not None))
    codes = [MISSING if c is None else values.index(c) for c in countries]
    nothing: Any = np.zeros((n, 0))
    return PredictionBlock(
        model="m", rows=np.arange(n), ids=Ids.of([""] * n), ts=np.zeros(n, dtype=np.int64),
        version=Coded([version], np.zeros(n, dtype=np.int32)), predicted=np.zeros(n), score=None,
        ranking=None, numeric=nothing, numeric_bad=None, categorical=[],
        tags={"country": Coded(values, np.array(codes, dtype=np.int32))},
        latency=np.full(n, np.nan), error=np.zeros(n, dtype=bool),
    )  # fmt: skip


def groups_with(*segments: Any) -> Groups:
    model = {**MODELS[5], "segments": list(segments)}
    return Groups(settings_of([model]).models["shop"].config)


COUNTRY = {"name": "country", "by": ["country"], "max_values": 1}


@given(st.lists(st.lists(st.sampled_from([*"abcdefgh", None]), min_size=1), min_size=1))
def test_values_beyond_the_cap_share_a_segment_in_order_of_appearance(
    blocks: list[list[str | None]],
) -> None:
    groups = groups_with(COUNTRY)
    seen: list[str] = []
    for countries in blocks:
        numbers = groups.assign(block_of(countries))
        for country, number in zip(countries, numbers.tolist(), strict=True):
            text = MISSING_VALUE if country is None else country
            if text not in seen and len(seen) < CAP_FACTOR:
                seen.append(text)
            value = text if text in seen else OTHER_VALUE
            assert groups.cells(number) == (("1", "*"), ("1", f"country={value}"))
    assert len(set(groups.members)) == len(groups)


@given(st.lists(st.sampled_from([*"abcdef", None, OTHER_VALUE]), min_size=1), st.integers(0, 5))
def test_restored_groups_go_on_as_if_nothing_had_happened(
    countries: list[str | None], cut: int
) -> None:
    calm, before, after = (groups_with(COUNTRY) for _ in range(3))
    whole = [calm.assign(block_of([c])).tolist() for c in countries]
    parts = [before.assign(block_of([c])).tolist() for c in countries[:cut]]
    after.restore(before.added_since(0))
    parts += [after.assign(block_of([c])).tolist() for c in countries[cut:]]
    assert parts == whole
    assert after.members == calm.members


def test_groups_keep_their_numbers_when_segments_are_configured_anew() -> None:
    before = groups_with(COUNTRY)
    before.assign(block_of(["DE", "FR", None]))
    fewer, other = groups_with(), groups_with({"name": "plan", "by": ["plan"]}, COUNTRY)
    fewer.restore(before.added_since(0))
    assert [fewer.cells(g) for g in range(3)] == [(("1", "*"),)] * 3
    other.restore(before.added_since(0))
    assert other.cells(1) == (("1", "*"), ("1", "plan=__missing__"), ("1", "country=FR"))
    # Rows that are like old ones join a group that is there.
    assert other.assign(block_of(["FR"])).tolist() == [1]
    assert fewer.assign(block_of(["IT"])).tolist()[0] in range(3)
