"""Where a partition's records are cut into chunks changes nothing, and the books balance."""

import json
import random
from typing import Any

from events.examples import NOW, build_chunk, build_settings, flatten
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import fuzz, mutate, valid_feedback, valid_prediction
from streams.events.columns import NO_CLOCK
from streams.events.intake import FeedbackIntake, PredictionIntake
from streams.events.quarantine import to_outputs

KINDS = st.sampled_from(
    [
        (PredictionIntake, "predictions", valid_prediction),
        (FeedbackIntake, "feedback", valid_feedback),
    ]
)
SETTINGS = build_settings(processing={"unknown_models": "accept"}, limits={"max_unknown_models": 3})


def messages(make: Any, seed: Any, n: Any) -> Any:
    rng = random.Random(seed)
    raws = [json.dumps(make(rng)).encode() for _ in range(n)]
    for raw in raws:
        fate = rng.random()
        if fate < 0.3:
            yield mutate(raw, rng.choice(raws), rng)
        elif fate < 0.4:
            yield json.dumps(json.loads(raw) | {"model": rng.choice("uvwxyz")}).encode()
        elif fate < 0.6:
            jump = rng.randrange(-1_200_000, 250_000)
            yield json.dumps(json.loads(raw) | {"timestamp": NOW + jump}).encode()
        else:
            yield raw


def decode(intake: Any, source: Any, values: Any, edges: Any) -> Any:
    """Decode piece by piece; returns all rows, all quarantine records and the sum of the books."""
    clock, pieces, outputs, rows_in = NO_CLOCK, [], [], 0
    for start, stop in zip([0, *edges], [*edges, len(values)], strict=True):
        chunk = build_chunk(values[start:stop], source, start=start)
        decoded = intake.decode(chunk, clock, NOW)
        assert decoded.rows_in == len(decoded.rows) + len(decoded.rejected)
        assert decoded.records == stop - start
        if len(decoded.rows):
            clock = int(decoded.rows.clock[-1])
            pieces.append(decoded.rows)
        outputs += to_outputs(chunk, decoded.rejected, "topic")
        rows_in += decoded.rows_in
    return [row for piece in pieces for row in flatten(piece)], outputs, rows_in


@settings(max_examples=60, deadline=None)
@given(
    kind=KINDS,
    seed=st.integers(0, 2**32),
    n=st.integers(1, 40),
    cuts=st.lists(st.integers(0, 40), max_size=8),
)
def test_any_chunking_gives_the_same_rows_and_the_same_quarantine(
    kind: Any, seed: Any, n: Any, cuts: Any
) -> None:
    cls, source, make = kind
    values = list(messages(make, seed, n))
    edges = sorted(min(cut, n) for cut in cuts)
    whole = decode(cls(SETTINGS), source, values, [])
    assert decode(cls(SETTINGS), source, values, edges) == whole


def test_large_chunks_are_read_in_groups_without_a_seam() -> None:
    values = list(messages(valid_prediction, 3, 1500))
    whole = decode(PredictionIntake(SETTINGS), "predictions", values, [])
    each = decode(PredictionIntake(SETTINGS), "predictions", values, list(range(100, 1500, 100)))
    assert whole == each


def test_an_empty_chunk_is_nothing() -> None:
    for cls, source in ((PredictionIntake, "predictions"), (FeedbackIntake, "feedback")):
        assert decode(cls(SETTINGS), source, [], []) == ([], [], 0)


def test_damaged_messages_never_escape_or_unbalance_the_books() -> None:
    fates = fuzz(50_000, seed=20_261_120)
    assert fates["accepted"] > 10_000
    assert fates.keys() >= {"bad_json", "wrong_type", "missing_field", "bad_batch", "not_finite"}
