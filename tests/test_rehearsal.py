"""What a worker does before it meets real events."""

from typing import Any

import streams.rehearsal
from streams.core.join.processor import JoinProcessor
from streams.pipeline import build_join
from streams.rehearsal import ROWS, rehearse


def rehearsed(monkeypatch: Any) -> list[JoinProcessor]:
    joins: list[JoinProcessor] = []

    def build(*args: Any) -> JoinProcessor:
        joins.append(build_join(*args))
        return joins[-1]

    monkeypatch.setattr(streams.rehearsal, "build_join", build)
    rehearse.__wrapped__()
    return joins


def test_every_made_up_event_is_one_that_counts(monkeypatch: Any) -> None:
    join, _ = rehearsed(monkeypatch)

    books = join.books.snapshot()
    tasks = 5
    assert books["predictions_in"] == books["predictions_joined"] == 2 * tasks * ROWS
    assert books["predictions_quarantined"] == books["feedback_quarantined"] == 0
    assert books["feedback_in"] == books["feedback_joined"] + books["feedback_duplicate"]


def test_a_rehearsal_is_the_same_every_time(monkeypatch: Any) -> None:
    first, second = rehearsed(monkeypatch)[0], rehearsed(monkeypatch)[0]

    assert first.books.snapshot() == second.books.snapshot()
