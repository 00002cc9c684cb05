"""Small topics of predictions and feedback, with everything in them that may go wrong."""

import json
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

from hypothesis import strategies as st

from streams.config import ModelConfig, PipelineConfig, Settings
from streams.profile.model import PROFILE_VERSION, NumericReference, ReferenceProfile

START = 1_800_000_000_000
RUBBISH = "rubbish"
IDS = ["a", "b-é", "c-日本", "d" * 40, *(f"id-{i}" for i in range(30))]
COUNTRIES = ["DE", "FR", "US", "IT", "ES", "__other__", None, 7]

COMMON = {
    "label_horizon": "10s",
    "remember": "5s",
    "truth_wait": "8s",
    "allowed_lateness": "6s",
    "windows": [{"size": "10s"}],
}
SEGMENTS = [
    {"name": "country", "by": ["country"], "max_values": 1},
    {"name": "both", "by": ["country", "plan"]},
]
MODELS: list[dict[str, Any]] = [
    {
        "model": "fraud",
        "task": "binary",
        "classes": ["no", "yes"],
        "features": {
            "x": {"kind": "numeric", "range": [-5, None]},
            "plan": {"kind": "categorical", "categories": ["free", "paid"]},
            "z": {"kind": "numeric"},
        },
        "segments": SEGMENTS,
        "distinct": "user",
        "outcomes": {"click": {}, "buy": {"value": True}},
        "detectors": [
            {"kind": "adwin", "name": "1", "on": "error"},
            {"kind": "adwin", "name": "2", "on": "score"},
            {"kind": "adwin", "name": "3", "on": "feature:x"},
        ],
    },
    {
        "model": "churn",
        "task": "binary",
        "classes": ["true", "false"],
        "positive_class": "true",
        "threshold": 0.6,
        "corrections": "first",
        "label_horizon": "4s",
        "remember": "0s",
    },
    {
        "model": "digits",
        "task": "multiclass",
        "classes": ["0", "1", "2"],
        "features": {"c": {"kind": "categorical"}},
        "distinct": "c",
    },
    {
        "model": "price",
        "task": "regression",
        "features": {"x": {"kind": "numeric"}},
        "distinct": "x",
        "segments": ["variant"],
        "detectors": [{"kind": "adwin", "on": "prediction"}],
    },
    {"model": "feed", "task": "ranking", "outcomes": {"click": {"role": "click"}}, "top_k": [3, 1]},
    {
        "model": "shop",
        "task": "outcome",
        "outcomes": {"click": {"role": "click"}, "buy": {"value": True}},
    },
]


def reference() -> ReferenceProfile:
    """A reference of the prices, so that bins come into play."""
    column = NumericReference(
        n=4, missing=0, mean=0.0, variance=1.0, minimum=-1.0, maximum=1.0,
        edges=(-1.0, 0.0, 2.5), counts=(1, 1, 1, 1),
    )  # fmt: skip
    return ReferenceProfile(
        version=PROFILE_VERSION,
        model="price",
        created="2026-01-01T00:00:00Z",
        rows=4,
        source="by hand",
        features={"x": column},
        prediction=column,
        score=None,
        label=column,
    )


@cache
def settings_for(names: tuple[str, ...]) -> Settings:
    """Settings of some of the models."""
    return settings_of([model for model in MODELS if model["model"] in names])


def settings_of(models: list[dict[str, Any]], **processing: Any) -> Settings:
    """Settings with ticks of a second and horizons of seconds."""
    pipeline = PipelineConfig.model_validate(
        {
            "kafka": {"bootstrap_servers": "localhost:9092"},
            "topics": {"partitions": 1, "monitor_partitions": 2},
            "processing": {"tick": "1s", **processing},
            "limits": {"max_age": None},
            "sinks": {"publish_unmatched": ["late", "orphan", "conflict", "expired"]},
            "models": ["models/*.yaml"],
            "windows": [{"size": "10s"}],
        }
    )
    configs = [ModelConfig.model_validate({**COMMON, **model}) for model in models]
    return Settings.build(pipeline, configs, {"price": reference()})


@dataclass
class Event:
    """A prediction or a piece of feedback; ``refused`` where the intake must not let it in."""

    fields: dict[str, Any]
    refused: bool = False

    @property
    def id(self) -> str:
        return str(self.fields["prediction_id"])

    @property
    def ts(self) -> int:
        return int(self.fields["timestamp"])

    def get(self, name: str) -> Any:
        return self.fields.get(name)


@dataclass
class Record:
    """A record of a topic: one event, a batch of several, or rubbish without any."""

    offset: int
    value: bytes
    events: list[Event] = field(default_factory=list)
    batch: bool = False

    def __repr__(self) -> str:
        return f"{self.offset}: {self.value[:60]!r}"


def _features(rng: Random, model: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, feature in model.get("features", {}).items():
        if rng.random() < 0.8:
            numeric = feature["kind"] == "numeric"
            found[name] = rng.choice(
                [-7, 0, 0.5, 1.25, 3, 1e9, None, "oops"]
                if numeric
                else ["free", "paid", "gold", "free", None, ["x"], 1]
            )
    return found


def _answer(rng: Random, model: dict[str, Any]) -> dict[str, Any]:
    scores = [0.0, 0.05, 0.3, 0.5, 0.6, 0.75, 1.0]
    match model["task"]:
        case "binary":
            spelled = {"true": [True, "true"], "false": [False, "false"]}
            said = rng.choice([s for c in model["classes"] for s in spelled.get(c, [c])])
            both = {"prediction": said, "score": rng.choice(scores)}
        case "multiclass":
            given = {name: rng.choice(scores) for name in ("0", "1", "2")}
            both = {"prediction": rng.choice([0, 1.0, "2"]), "score": given}
        case "regression":
            return {"prediction": rng.choice([-3.0, 0, 1, 2.5, 1e6])}
        case "ranking":
            return {"prediction": rng.sample(["i1", "i2", "i3", "i4"], rng.randint(0, 4))}
        case _:
            return {}
    kept = rng.choice([["prediction"], ["score"], ["prediction", "score"]])
    return {name: both[name] for name in kept}


def prediction(rng: Random, models: list[dict[str, Any]]) -> Event:
    """One prediction, good or bad."""
    model = rng.choice(models)
    fields: dict[str, Any] = {
        "prediction_id": rng.choice(IDS),
        "timestamp": START + rng.randint(0, 120) * 500,
        "model": model["model"],
        **_answer(rng, model),
    }
    if rng.random() < 0.7:
        fields["features"] = _features(rng, model)
    if rng.random() < 0.7:
        tags = {"country": rng.choice(COUNTRIES), "user": rng.choice(["u1", "u2", "u3", None])}
        fields["tags"] = tags
    if rng.random() < 0.5:
        fields |= {
            "model_version": rng.choice(["1", 2]),
            "latency_ms": rng.choice([0, 3.5, 120]),
            "variant": rng.choice(["A", "B"]),
        }
    if rng.random() < 0.1:
        fields["error"] = True
    wrong = rng.randint(0, 40)
    if wrong == 0:
        return Event(fields | {"model": "nobody"}, refused=True)
    if wrong == 1:
        return Event(fields | {"latency_ms": -1}, refused=True)
    if wrong == 2:
        return Event(fields | {"prediction_id": ""}, refused=True)
    return Event(fields)


TRUTHS: dict[str, list[Any]] = {
    "fraud": ["no", "yes", "maybe"],
    "churn": [True, False, "true", "false"],
    "digits": [0, 1, 2.0, "1"],
    "price": [-3.5, 0, 2.5, 1e6],
    "feed": [["i1", "i3"], [], {"i2": 3, "i4": 0.5, "i1": 0}, ["i1", "i9"]],
    "shop": [1],
}


def feedback(rng: Random, models: list[dict[str, Any]], about: list[Event]) -> Event:
    """One piece of feedback, mostly about a prediction that there is."""
    model = rng.choice(models)["model"]
    fields: dict[str, Any] = {
        "prediction_id": rng.choice([*IDS, "nobody-ever"]),
        "timestamp": START + rng.randint(0, 140) * 500,
    }
    if about and rng.random() < 0.8:
        one = rng.choice(about)
        model = one.get("model")
        fields["prediction_id"] = one.id or "x"
        fields["timestamp"] = one.ts + rng.choice([-4000, -500, 0, 500, 1500, 4000, 9500, 12_000])
    if rng.random() < 0.65:
        everything = [truth for truths in TRUTHS.values() for truth in truths]
        fields["actual"] = rng.choice(
            everything if rng.random() < 0.1 else TRUTHS.get(model, everything)
        )
        if rng.random() < 0.3:
            fields["weight"] = rng.choice([0, 0.5, 2, 3.25])
    else:
        fields["event"] = rng.choice(["click", "click", "buy", "unheard-of"])
        if rng.random() < 0.5:
            fields["value"] = rng.choice([1.5, 20])
        if rng.random() < 0.5:
            fields["item"] = rng.choice(["i1", "i2", 5])
    wrong = rng.randint(0, 40)
    if wrong == 0:
        return Event(fields | {"weight": -1}, refused=True)
    if wrong == 1:
        rest = {k: v for k, v in fields.items() if k not in {"actual", "event"}}
        return Event(rest, refused=True)
    return Event(fields)


def encode(events: list[Event], *, batch: bool) -> bytes:
    """Write events as one record."""
    if not batch:
        return json.dumps(events[0].fields).encode()
    names = [
        n
        for n in ("actual", "weight", "event", "item", "value")
        if any(e.get(n) is not None for e in events)
    ]
    columns = {"prediction_id": [e.id for e in events], "timestamp": [e.ts for e in events]}
    columns |= {name: [e.get(name) for e in events] for name in names}
    return json.dumps({"columns": columns}).encode()


def encode_batch(events: list[Event]) -> bytes:
    """Write predictions of one model and version as one record."""
    first = events[0]
    names = {n for e in events for n in e.fields} - {"model", "model_version", "features", "tags"}
    columns: dict[str, Any] = {name: [e.get(name) for e in events] for name in sorted(names)}
    for part in ("features", "tags"):
        inner = {n for e in events for n in e.get(part) or {}}
        if inner:
            columns[part] = {n: [(e.get(part) or {}).get(n) for e in events] for n in sorted(inner)}
    head = {"model": first.get("model")}
    if first.get("model_version") is not None:
        head["model_version"] = first.get("model_version")
    return json.dumps({**head, "columns": columns}).encode()


def topic(rng: Random, events: list[Event], *, of_predictions: bool) -> list[Record]:
    """A topic in an order that time mostly follows."""
    slack = rng.choice([0, 2_000, 9_000])
    queue = sorted(events, key=lambda event: event.ts + rng.randint(0, slack))
    largest = rng.choice([1, 1, 4])
    records: list[Record] = []
    offset = 0
    while queue:
        offset += rng.choice([1, 1, 1, 3])
        if rng.random() < 0.05:
            rubbish = rng.choice([b"{nope", b"", b"[1, 2]", b'{"columns": {}}'])
            records.append(Record(offset, rubbish))
            continue
        taken = 1
        while taken < min(rng.randint(1, largest), len(queue)) and _head(queue[taken]) == _head(
            queue[0]
        ):
            taken += 1
        mine, queue = queue[:taken], queue[taken:]
        batch = taken > 1
        value = encode_batch(mine) if batch and of_predictions else encode(mine, batch=batch)
        records.append(Record(offset, value, mine, batch))
    return records


def _head(event: Event) -> tuple[Any, Any]:
    return event.get("model"), event.get("model_version")


@st.composite
def worlds(draw: st.DrawFn, size: int = 80) -> tuple[tuple[str, ...], list[Record], list[Record]]:
    """Predictions and feedback of one partition."""
    models = draw(st.sampled_from([MODELS, *([model] for model in MODELS)]))
    sizes = draw(st.tuples(st.integers(0, size), st.integers(0, size)))
    rng = Random(draw(st.integers(0, 2**32)))
    made = [prediction(rng, models) for _ in range(sizes[0])]
    truth = [feedback(rng, models, made) for _ in range(sizes[1])]
    return (
        tuple(model["model"] for model in models),
        topic(rng, made, of_predictions=True),
        topic(rng, truth, of_predictions=False),
    )
