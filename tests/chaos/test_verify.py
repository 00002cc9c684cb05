"""The verifier must fail on every fault that it is there to find."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from chaos import verify
from chaos.oracle import BY_PREDICTION, Expected, Where
from chaos.report import document
from chaos.traffic import FRAUD
from chaos.trial import Outcome
from chaos.verify import Published, Verdict

from streams.payloads import rfc3339

Json = dict[str, Any]


def window(where: Where, expected: Expected, revision: int, **fields: Any) -> Json:
    counts = expected.windows[where]
    made: Json = {
        "type": "window",
        "id": "|".join([*map(str, where), str(revision)]),
        "model": where.model,
        "model_version": where.version,
        "segment": where.segment,
        "view": where.view,
        "size_s": where.size / 1000,
        "start": rfc3339(where.start),
        "revision": revision,
        "final": True,
        "labels": counts.labels,
        "metrics": {},
    }
    if where.view == BY_PREDICTION:
        made["predictions"] = counts.predictions
    if where.model == FRAUD:
        made["confusion"] = dict(counts.confusion)
    elif counts.labels:
        mean = sum(counts.errors) / counts.labels
        made["metrics"] = {"mae": {"value": mean, "n": counts.labels}}
    return made | fields


@pytest.fixture
def right(expected: Expected) -> Published:
    """Everything as it must come out, each window by prediction time in two revisions."""
    metrics = []
    for where in expected.windows:
        last = int(where.view == BY_PREDICTION)
        if last:
            metrics.append(window(where, expected, 0, final=False, labels=0))
        metrics.append(window(where, expected, last))
    alerts = [
        alert._asdict() | {"id": one, "evidence": {"value": alert.value}}
        for one, alert in expected.alerts.items()
    ]
    quarantined = [
        {
            "driftline.source.topic": f"x.{side}".encode(),
            "driftline.source.partition": str(partition).encode(),
            "driftline.source.offset": str(offset).encode(),
        }
        for side, partition, offset in expected.quarantined
    ]
    return Published(
        [orjson.dumps(one) for one in metrics],
        [orjson.dumps(one) for one in alerts],
        [orjson.dumps({"id": one}) for one in expected.unmatched],
        quarantined,
    )


def judged(expected: Expected, published: Published, *, once: bool = True) -> Verdict:
    return verify.verify(expected, published, dict(expected.books), once=once)


def changed(values: list[bytes], index: int, change: Callable[[Json], None]) -> list[bytes]:
    one = orjson.loads(values[index])
    change(one)
    return [*values[:index], orjson.dumps(one), *values[index + 1 :]]


def last_of(published: Published, view: str, model: str) -> int:
    """Index of a final window of a model with labels."""
    for index, value in enumerate(published.metrics):
        one = orjson.loads(value)
        if (one["view"], one["model"], one["final"]) == (view, model, True) and one["labels"]:
            return index
    raise AssertionError("there is no such window")


def test_what_is_right_passes(expected: Expected, right: Published) -> None:
    verdict = judged(expected, right)
    assert verdict.faults == []
    assert verdict.checked["windows counted"] == len(expected.windows)


@pytest.mark.parametrize("model", ["fraud", "price"])
@pytest.mark.parametrize("view", ["prediction_time", "label_time"])
@pytest.mark.parametrize("by", [-1, 1])
def test_a_label_lost_or_doubled_in_one_window_is_a_fault(
    expected: Expected, right: Published, model: str, view: str, by: int
) -> None:
    def change(one: Json) -> None:
        one["labels"] += by

    right.metrics = changed(right.metrics, last_of(right, view, model), change)
    (fault,) = judged(expected, right).faults
    assert fault.startswith("window counted wrong")


@pytest.mark.parametrize("by", [-1, 1])
def test_a_prediction_lost_or_doubled_in_one_window_is_a_fault(
    expected: Expected, right: Published, by: int
) -> None:
    def change(one: Json) -> None:
        one["predictions"] += by

    right.metrics = changed(right.metrics, last_of(right, BY_PREDICTION, "price"), change)
    (fault,) = judged(expected, right).faults
    assert "predictions" in fault


def test_a_label_counted_for_the_wrong_prediction_is_a_fault(
    expected: Expected, right: Published
) -> None:
    def swap(one: Json) -> None:
        cells = one["confusion"]
        more, less = sorted(cells, key=cells.__getitem__)[::-1][:2]
        cells[more], cells[less] = cells[more] - 1, cells[less] + 1

    def worse(one: Json) -> None:
        one["metrics"]["mae"]["value"] *= 1.000001

    for model, change in (("fraud", swap), ("price", worse)):
        wrong = replace(
            right, metrics=changed(right.metrics, last_of(right, BY_PREDICTION, model), change)
        )
        (fault,) = judged(expected, wrong).faults
        assert fault.startswith("window counted wrong")


def test_a_missing_window_is_a_fault(expected: Expected, right: Published) -> None:
    del right.metrics[last_of(right, "label_time", "price")]
    (fault,) = judged(expected, right).faults
    assert fault.startswith("windows missing")


def test_a_missing_final_or_middle_revision_is_a_fault(
    expected: Expected, right: Published
) -> None:
    final = last_of(right, BY_PREDICTION, "price")
    for index, told in ((final, "windows without one final revision"), (final - 1, "revisions")):
        metrics = right.metrics[:index] + right.metrics[index + 1 :]
        faults = judged(expected, replace(right, metrics=metrics)).faults
        assert any(fault.startswith(told) for fault in faults)


def test_a_window_of_nothing_is_a_fault(expected: Expected, right: Published) -> None:
    where = next(iter(expected.windows))
    stranger = window(where, expected, 0) | {"id": "stranger", "segment": "country=nowhere"}
    right.metrics.append(orjson.dumps(stranger))
    (fault,) = judged(expected, right).faults
    assert fault.startswith("windows of nothing")


@pytest.mark.parametrize("kind", ["metrics", "alerts", "unmatched"])
def test_an_output_published_twice_is_a_fault_of_exactly_once_alone(
    expected: Expected, right: Published, kind: str
) -> None:
    values = getattr(right, kind)
    values.append(values[0])
    (fault,) = judged(expected, right).faults
    assert fault.startswith(f"{kind} published twice")
    verdict = judged(expected, right, once=False)
    assert verdict.faults == []
    assert verdict.repeats == 1


def test_a_repeat_with_another_content_is_always_a_fault(
    expected: Expected, right: Published
) -> None:
    def change(one: Json) -> None:
        one["summary"] = "different"

    right.alerts.append(changed(right.alerts, 0, change)[0])
    (fault,) = judged(expected, right, once=False).faults
    assert fault.startswith("alerts published again with another content")


def test_a_lost_alert_and_one_too_many_are_faults(expected: Expected, right: Published) -> None:
    lost = replace(right, alerts=right.alerts[1:])
    assert judged(expected, lost).faults[0].startswith("alerts lost")
    more = changed(right.alerts, 0, lambda one: one.update(id="another"))[:1]
    doubled = replace(right, alerts=right.alerts + more)
    assert judged(expected, doubled).faults[0].startswith("alerts too many")


@pytest.mark.parametrize(
    ("field", "value"), [("status", "update"), ("at", "2026-01-01T00:00:00.000Z"), ("revision", 7)]
)
def test_an_alert_that_says_something_else_is_a_fault(
    expected: Expected, right: Published, field: str, value: object
) -> None:
    right.alerts = changed(right.alerts, 0, lambda one: one.update({field: value}))
    (fault,) = judged(expected, right).faults
    assert fault.startswith("alert unlike the right one")


def test_what_met_nothing_or_was_unreadable_is_told_exactly_once(
    expected: Expected, right: Published
) -> None:
    assert judged(expected, replace(right, unmatched=right.unmatched[1:])).faults
    fewer = replace(right, quarantined=right.quarantined[1:])
    assert judged(expected, fewer).faults[0].startswith("quarantined lost")
    more = replace(right, quarantined=[*right.quarantined, right.quarantined[0]])
    assert judged(expected, more).faults[0].startswith("quarantined too many")
    assert judged(expected, more, once=False).faults == []


def test_books_that_do_not_balance_or_are_wrong_are_faults(
    expected: Expected, right: Published
) -> None:
    books = dict(expected.books)
    books["feedback_joined"] += 1
    faults = verify.verify(expected, right, books, once=True).faults
    assert any(fault.startswith("books of feedback out of balance") for fault in faults)
    books["feedback_late"] -= 1
    faults = verify.verify(expected, right, books, once=True).faults
    assert faults == [fault for fault in faults if fault.startswith("books wrong")] != []


def test_payloads_that_differ_from_a_replay_are_faults() -> None:
    def values(*pairs: tuple[str, int]) -> list[bytes]:
        return [orjson.dumps({"id": one, "n": n}) for one, n in pairs]

    replayed = values(("a", 1), ("b", 2))
    for published in (values(("a", 1)), values(("a", 1), ("b", 3)), [*replayed, *values(("c", 1))]):
        verdict = Verdict()
        verify.check_same(verdict, "metrics", published, replayed)
        assert len(verdict.faults) == 1
    verdict = Verdict()
    verify.check_same(verdict, "metrics", replayed, replayed)
    assert verdict.faults == []


def test_the_document_tells_what_was_checked() -> None:
    outcome = Outcome("kills", rounds=2, faults=["a row is missing"])
    outcome.checked["windows"] = 3

    (scenario,) = orjson.loads(document([outcome], [], {}))["scenarios"]

    assert (scenario["rounds"], scenario["checked"]) == (2, {"windows": 3})
