"""Events read from bytes come out as the typed decoders read them, whatever they look like."""

import json
import random
from typing import Any

import pytest
from events.examples import NOW, build_chunk, build_settings, flatten
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import mutate, valid_feedback, valid_prediction
from streams.events.columns import NO_CLOCK
from streams.events.intake import FeedbackIntake, PredictionIntake

MODELS = ("fraud", "digit", "price", "rank", "click", "nobody")
NUMBERS = st.sampled_from(
    """
    0 -0 0.0 -0.0 1 -1 1.0 1e0 1E+2 1e-7 0.1 0.30000000000000004 9007199254740993
    0.12345678901234567 123456789012345678 9223372036854775807 9223372036854775808
    18446744073709551615 18446744073709551616 1e22 1e23 8.988465674311579e307 1e308 1e309
    2.2250738585072011e-308 5e-324 4.9e-324 1e-400 1.00000000000000011102230246251565
    12345678901234567890123 1e99 1e100 0e5 -1e-10 1.0000005 -0.0000005 0.5 2.50
    """.split()  # noqa: SIM905 - numbers without quotes are easier to read
)
SPACES = st.sampled_from(["", "", "", " ", "\n", "\t \r\n"])
TEXTS = st.sampled_from(
    ["", "a", "DE", "web", "ü", "日本", "😀", "true", "1", 'q"x', "back\\slash", "tab\t", "x" * 300]
)
TIMES = st.sampled_from(
    [
        *(str(NOW), str(NOW // 1000), str(NOW * 1000), f"{NOW}000000", f"{NOW}.5", "1.7e12"),
        *("1700000000.0005", "1700000000.0015", "1700000000123456.7", "1.7e18", "-5", "0", "0.0"),
        *('"2023-11-14T22:13:20Z"', '"2023-11-14t22:13:20.123456z"', '"2023-11-14 22:13:20+01:30"'),
        *('"2024-02-29T22:13:60.5-00:00"', '"2023-02-29T22:13:20Z"', '"2023-11-14T22:13:20"'),
        *('"2023-11-14T24:00:00Z"', '"2023-13-14T22:13:20Z"', '"0000-11-14T22:13:20Z"', '"now"'),
        *('"2023-11-14T22:13:20.Z"', '"2023-11-14T22:13:2\\u0030Z"', "null", "true", "[]"),
    ]
)


@st.composite
def json_texts(draw: Any, depth: int = 2) -> Any:
    """Any JSON value, in any notation."""
    kind = draw(st.integers(0, 5 if depth else 3))
    space = draw(SPACES)
    if kind == 0:
        return draw(NUMBERS)
    if kind == 1:
        return json.dumps(draw(TEXTS), ensure_ascii=draw(st.booleans()))
    if kind in {2, 3}:
        return draw(st.sampled_from(["true", "false", "null"]))
    inner = draw(st.lists(json_texts(depth=depth - 1), max_size=3))
    if kind == 4:
        return "[" + f"{space},".join(inner) + space + "]"
    return joined([(draw(st.sampled_from("abc")), one) for one in inner], space)


def joined(members: Any, space: Any) -> Any:
    return "{" + ",".join(
        f"{space}{json.dumps(key)}{space}:{space}{value}{space}" for key, value in members
    ) + space + "}"  # fmt: skip


def words(*values: Any) -> Any:
    return st.sampled_from([json.dumps(one) for one in values])


@st.composite
def objects(draw: Any, names: Any, values: Any) -> Any:
    keys = draw(st.lists(st.sampled_from(names), max_size=5))
    return joined([(key, draw(values)) for key in keys], draw(SPACES))


PREDICTION = {
    "prediction_id": words("p", "id-1", "ü", "a\\b", "x" * 257),
    "timestamp": TIMES,
    "model": words(*MODELS),
    "model_version": st.one_of(words("1", "v2", 1, 1.0, 2.5, None), NUMBERS),
    "prediction": st.one_of(words(True, False, "true", "a", 1, 2.0, "1", None, 3.5), NUMBERS),
    "score": st.one_of(
        NUMBERS,
        words(0.25, 0.75, 1, 0, None),
        objects(["true", "false"], words(0.2, 0.8)),
        objects(["a", "1", "2"], words(0.2, 0.8, 0.1)),
        objects(["a", "1", "true", "zz"], NUMBERS),
    ),
    "latency_ms": st.one_of(NUMBERS, words(None, 3.5)),
    "error": words(True, False, None),
    "variant": words("a", 1, True, None, 2.0, "1"),
    "features": st.one_of(
        words(None),
        objects(["amount", "age", "ink", "channel", "zz"], st.one_of(NUMBERS, words("web", None))),
        objects(["amount", "age", "ink", "zz"], NUMBERS),
    ),
    "tags": st.one_of(
        words(None), objects(["country", "user", "zz"], st.one_of(words("DE", 1, True), NUMBERS))
    ),
}
FEEDBACK = {
    "prediction_id": PREDICTION["prediction_id"],
    "timestamp": TIMES,
    "actual": st.one_of(
        words(True, False, "yes", "ü", None, 1, 2.5, ["x", 5], {"x": 1.5}), NUMBERS
    ),
    "value": st.one_of(NUMBERS, words(None, 2.5)),
    "weight": st.one_of(NUMBERS, words(None, 1, 0.5)),
    "event": words("click", "buy", None, 5),
    "item": st.one_of(words("x", 5, 5.0, None, True), NUMBERS),
}
USUAL = {
    "prediction_id": '"p7"',
    "timestamp": str(NOW),
    "model": '"fraud"',
    "prediction": "true",
    "actual": "true",
}


@st.composite
def events(draw: Any, fields: Any) -> Any:
    """An event whose fields are mostly usual, in any order."""
    held = {name: USUAL[name] for name in fields if name in USUAL}
    if draw(st.booleans()):
        held["model"] = draw(PREDICTION["model"])
    for name in draw(st.lists(st.sampled_from(list(fields)), max_size=5)):
        held[name] = draw(st.one_of(fields[name], fields[name], json_texts()))
    members = list(held.items())
    if draw(st.integers(0, 9)) == 0:
        members.append(draw(st.sampled_from(members)))  # twice
    if draw(st.integers(0, 3)) == 0:
        members.append((draw(st.sampled_from(["extra", "x", "ü"])), draw(json_texts(depth=4))))
    if draw(st.integers(0, 9)) == 0:
        members.pop(draw(st.integers(0, len(members) - 1)))
    text = joined(draw(st.permutations(members)), draw(SPACES))
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(st.sampled_from(["", "\\", '"', "}", ",", "\x00", "1"])) + text[at:]
    return text.encode()


SETTINGS = build_settings()
OPEN = build_settings(processing={"unknown_models": "accept"}, limits={"max_unknown_models": 2})


def outcome(intake: Any, values: Any, source: Any = "predictions") -> Any:
    decoded = intake.decode(build_chunk(values, source), NO_CLOCK, NOW)
    return (
        flatten(decoded.rows),
        decoded.rejected,
        decoded.rows_in,
        decoded.records,
        [block.model for block in getattr(decoded.rows, "blocks", [])],
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(events(PREDICTION), min_size=1, max_size=6), st.sampled_from([SETTINGS, OPEN]))
def test_predictions_come_out_the_same_by_both_ways(values: Any, configured: Any) -> None:
    fast = outcome(PredictionIntake(configured), values)
    assert fast == outcome(PredictionIntake(configured, scan=False), values)


@settings(max_examples=200, deadline=None)
@given(st.lists(events(FEEDBACK), min_size=1, max_size=6))
def test_feedback_comes_out_the_same_by_both_ways(values: Any) -> None:
    fast = outcome(FeedbackIntake(SETTINGS), values, "feedback")
    assert fast == outcome(FeedbackIntake(SETTINGS, scan=False), values, "feedback")


@st.composite
def batches(draw: Any) -> Any:
    """A batch whose columns are mostly usual and of one length, in any order."""
    n = draw(st.integers(0, 4))
    space = draw(SPACES)

    def array(values: Any) -> Any:
        size = n if draw(st.integers(0, 60)) else n + 1
        return "[" + f"{space},{space}".join([draw(values) for _ in range(size)]) + space + "]"

    def group(names: Any, values: Any) -> Any:
        keys = draw(st.lists(st.sampled_from(names), max_size=4, unique=draw(st.booleans())))
        return joined([(key, array(values)) for key in keys], space)

    usual = st.one_of(words(0.25, 1, None), NUMBERS) if draw(st.booleans()) else words(0.5, 1, 0)
    labels = words(True, "false", "a", 1, None) if draw(st.booleans()) else words(True, False)
    columns = {
        "prediction": array(draw(st.sampled_from([labels, usual, words("a", 1, 2.0)]))),
        "score": draw(
            st.sampled_from([array(usual), group(["a", "1", "2"], usual), group(["true"], usual)])
        ),
        "latency_ms": array(usual),
        "error": array(words(True, False, None)),
        "variant": array(words("a", 1, None)),
        "features": group(["amount", "age", "ink", "channel", "zz"], usual),
        "tags": group(["country", "user", "zz"], words("DE", 1, None)),
        "extra": draw(json_texts()),
    }
    held = {"prediction_id": array(words("p", "ü", "q,]"))}
    held["timestamp"] = array(st.just(str(NOW))) if draw(st.booleans()) else str(NOW)
    for name in draw(st.lists(st.sampled_from(list(columns)), max_size=5)):
        held[name] = columns[name] if draw(st.integers(0, 12)) else draw(json_texts())
    head = [
        ("model", draw(words("fraud", "digit", "price", "click", "rank", "nobody"))),
        ("model_version", draw(words("1", 2, None))),
        ("columns", joined(draw(st.permutations(list(held.items()))), space)),
    ]
    if not draw(st.integers(0, 5)):
        head.append(("padding", json.dumps("x" * 1200)))
    text = joined(draw(st.permutations(head)), space)
    if not draw(st.integers(0, 5)):
        at = draw(st.integers(0, len(text) - 1))
        text = (
            text[:at] + draw(st.sampled_from(["", "]", "[", "}", ",", "{", ":", '"'])) + text[at:]
        )
        if draw(st.booleans()):
            text = text[:at] + text[at + 1 :]
    return text.encode()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(batches(), batches(), events(PREDICTION)), min_size=1, max_size=4))
def test_batches_come_out_the_same_by_both_ways(values: Any) -> None:
    fast = outcome(PredictionIntake(SETTINGS), values)
    assert fast == outcome(PredictionIntake(SETTINGS, scan=False), values)


@pytest.mark.parametrize(
    ("intake", "source", "make"),
    [
        (PredictionIntake, "predictions", valid_prediction),
        (FeedbackIntake, "feedback", valid_feedback),
    ],
)
def test_damaged_events_come_out_the_same_by_both_ways(intake: Any, source: Any, make: Any) -> None:
    rng = random.Random(5)
    for _ in range(40):
        raws = [json.dumps(make(rng)).encode() for _ in range(100)]
        values = [mutate(one, rng.choice(raws), rng) if rng.random() < 0.7 else one for one in raws]
        fast = outcome(intake(SETTINGS), values, source)
        assert fast == outcome(intake(SETTINGS, scan=False), values, source)
