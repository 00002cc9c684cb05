"""Corners of the join that random topics seldom reach."""

from random import Random

from core.join.driver import Run, chunk_of, straight
from core.join.topics import (
    MODELS,
    START,
    Event,
    Record,
    encode,
    feedback,
    prediction,
    settings_of,
    topic,
)

from streams.core.join.processor import JoinProcessor
from streams.core.join.tick_join import FEEDBACK, PREDICTIONS
from streams.core.processor import Saved

SHOP = MODELS[5]


def sale(offset: int, ts: int, model: str = "shop") -> Record:
    fields = {"prediction_id": f"p{offset}", "timestamp": START + ts, "model": model}
    return Record(offset, encode([Event(fields)], batch=False))


def click(offset: int, ts: int, about: str) -> Record:
    fields = {"prediction_id": about, "timestamp": START + ts, "event": "click"}
    return Record(offset, encode([Event(fields)], batch=False))


def test_unknown_models_that_were_let_in_outlive_restarts() -> None:
    chosen = settings_of(MODELS, unknown_models="accept")
    for seed in range(12):
        rng = Random(seed)
        made = [prediction(rng, MODELS) for _ in range(60)]
        for event in made[::4]:
            event.fields["model"] = f"new-{rng.randint(0, 3)}"
        truth = [feedback(rng, MODELS, made) for _ in range(60)]
        topics = (topic(rng, made, of_predictions=True), topic(rng, truth, of_predictions=False))
        calm = straight(chosen, *topics)
        shaken = Run(chosen, {PREDICTIONS: topics[0], FEEDBACK: topics[1]})
        for _ in range(20):
            shaken.feed(PREDICTIONS, 4)
            shaken.feed(FEEDBACK, 4)
            shaken.checkpoint()
            shaken.start()
        shaken.finish()
        assert shaken.told() == calm.told()
        assert shaken.join.books == calm.join.books


def test_books_balance_when_horizons_shrink_between_runs() -> None:
    before = settings_of([{**SHOP, "label_horizon": "60s", "truth_wait": "60s"}])
    run = Run(
        before,
        {
            PREDICTIONS: [sale(n, n * 1_000) for n in range(40)],
            FEEDBACK: [click(n, n * 1_000, f"x{n}") for n in range(40)],
        },
    )
    run.feed(PREDICTIONS, 40)
    run.feed(FEEDBACK, 40)
    run.checkpoint()
    assert run.join.books.predictions_waiting == 39
    run.settings = settings_of([SHOP])
    run.start()
    run.check()
    assert run.join.books.predictions_waiting < 20
    run.finish()
    assert run.join.books.predictions_waiting == run.join.books.feedback_waiting == 0
    assert run.join.books.predictions_expired == run.join.books.feedback_orphan == 40


def test_a_topic_of_rubbish_alone_is_quarantined_at_once_and_tells_no_time() -> None:
    join = JoinProcessor(settings_of([SHOP]), 0)
    for offset in range(5):
        join.step(chunk_of(PREDICTIONS, [Record(offset, b"{")]), 0)
        done = join.checkpoint(0)
        assert done is not None
        assert [output.topic for output in done.outputs] == ["quarantine_predictions"]
        assert done.positions == {PREDICTIONS: offset + 1}
        join = JoinProcessor(settings_of([SHOP]), 0)
        join.restore(Saved(done.marker, {}))
    join.finish()
    assert join.checkpoint(0) is None
    assert join.books.predictions_quarantined == 5


def test_feedback_that_is_all_rubbish_does_not_hold_predictions_back() -> None:
    join = JoinProcessor(settings_of([SHOP]), 0)
    for n in range(20):
        join.step(chunk_of(PREDICTIONS, [sale(n, n * 1_000)]), n * 1_000)
        join.step(chunk_of(FEEDBACK, [Record(n, b"{")]), n * 1_000)
    assert join.books.predictions_waiting >= 10
    assert join.books.feedback_quarantined >= 10


def test_pages_are_dropped_while_time_goes_on() -> None:
    run = Run(
        settings_of([SHOP]),
        {PREDICTIONS: [sale(n, n * 12_000) for n in range(30)], FEEDBACK: []},
    )
    run.join.end(FEEDBACK)
    for _ in range(30):
        run.feed(PREDICTIONS, 1)
        run.checkpoint()
        assert len(run.join._join.waiting.store.pages) <= 3
        assert len([name for name in run.state.records if name.startswith("delta")]) <= 3
    assert run.join.books.predictions_expired >= 27


def test_the_same_truth_in_one_batch_has_two_ids() -> None:
    events = [
        Event({"prediction_id": f"x{i}", "timestamp": START, "event": "click"}) for i in range(2)
    ]
    run = Run(
        settings_of([SHOP]),
        {PREDICTIONS: [], FEEDBACK: [Record(3, encode(events, batch=True))]},
    )
    run.finish()
    ids = [dict(o.headers)["driftline.id"] for o in run.outputs if o.topic == "unmatched"]
    assert ids == [b"orphan|0|3|0", b"orphan|0|3|1"]
