from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.config import ModelConfig, PipelineConfig, Settings, WindowConfig
from streams.config.errors import ConfigError
from streams.config.labels import canonical_label
from streams.config.load import load, load_pipeline
from streams.config.pipeline import TOPICS, TopicsConfig
from streams.config.windows import auto_tick_ms, pane_ms
from streams.events.labels import canonical
from streams.profile.model import PROFILE_VERSION, NumericReference, ReferenceProfile

Write = Callable[..., Path]

ROOT = Path(__file__).parents[2]
KAFKA = "kafka: {bootstrap_servers: 'broker:9092'}\nmodels: [models/*.yaml]\n"


def profile(model: str = "m", **metrics: float) -> ReferenceProfile:
    column = NumericReference(
        n=2, missing=0, mean=0.5, variance=0.25, minimum=0, maximum=1, edges=(0.5,), counts=(1, 1)
    )
    return ReferenceProfile(
        version=PROFILE_VERSION,
        model=model,
        created="2026-11-20T10:00:00.000Z",
        rows=2,
        features={"x": column},
        metrics=metrics,
    )


def test_the_shipped_configuration_loads_and_covers_four_tasks() -> None:
    settings = load(ROOT / "config" / "driftline.yaml", {})
    tasks = {name: model.config.task for name, model in settings.models.items()}
    assert tasks == {
        "fraud": "binary",
        "price": "regression",
        "feed": "ranking",
        "topic": "multiclass",
    }
    assert settings.tick_ms == 1_000


def test_the_shipped_pipeline_sets_every_default_to_what_it_is() -> None:
    shipped = load_pipeline(ROOT / "config" / "driftline.yaml", {})
    least = PipelineConfig.model_validate(
        {"kafka": {"bootstrap_servers": "localhost:9092"}, "models": ["models/*.yaml"]}
    )
    assert shipped == least


def test_the_shipped_pipeline_mentions_every_key() -> None:
    text = (ROOT / "config" / "driftline.yaml").read_text()
    parts = [PipelineConfig, *(f.annotation for f in PipelineConfig.model_fields.values())]
    keys = [key for part in parts for key in getattr(part, "model_fields", ())]
    assert [key for key in keys if f"{key}:" not in text] == []


def test_the_pipelines_windows_fill_in_for_a_model_without_any(write: Write) -> None:
    path = write(
        KAFKA + "windows: [{size: 10m}]\n",
        a="model: a\ntask: regression\n",
        b="model: b\ntask: regression\nwindows: [{size: 30s, hop: 10s}]\n",
    )
    models = load(path, {}).models
    assert models["a"].windows == models["a"].config.windows == (WindowConfig(size=600_000),)
    assert models["b"].windows == (WindowConfig(size=30_000, hop=10_000),)
    assert models["b"].pane_ms == 10_000


def test_a_reference_profile_is_found_beside_the_model(write: Write, tmp_path: Path) -> None:
    path = write(
        m="model: m\ntask: regression\nreference: m.json\n"
        "features: {x: {kind: numeric}}\n"
        "alerts:\n- {rule: threshold, name: r, metric: mae, relative_to_reference: 0.1}\n"
    )
    profile(mae=1.0).write(tmp_path / "models" / "m.json")
    model = load(path, {}).models["m"]
    assert model.reference == profile(mae=1.0)
    assert model.config.reference == tmp_path / "models" / "m.json"


def test_a_reference_profile_must_fit_its_model(write: Write, tmp_path: Path) -> None:
    path = write(
        m="model: m\ntask: regression\nreference: m.json\n"
        "features: {x: {kind: categorical}}\n"
        "alerts:\n- {rule: threshold, name: r, metric: mae, relative_to_reference: 0.1}\n"
    )
    profile("other").write(tmp_path / "models" / "m.json")
    with pytest.raises(ConfigError) as raised:
        load(path, {})
    found = [(problem.line, problem.key) for problem in raised.value.problems]
    assert found == [
        (3, "reference"),
        (4, "features.x.kind"),
        (6, "alerts[0].relative_to_reference"),
    ]


def test_a_damaged_reference_profile_is_a_problem_of_the_model(
    write: Write, tmp_path: Path
) -> None:
    path = write(m="model: m\ntask: regression\nreference: m.json\n")
    (tmp_path / "models" / "m.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"m.yaml:3: reference: .*not a reference profile"):
        load(path, {})


def test_the_environment_wins_over_the_file(write: Write) -> None:
    settings = load(
        write(KAFKA + "http: {port: 1}\n", m="model: m\ntask: regression\n"),
        {
            "DRIFTLINE__KAFKA__BOOTSTRAP_SERVERS": "other:1",
            "DRIFTLINE__HTTP__PORT": "2",
            "DRIFTLINE__PROCESSING__TICK": "500ms",
            "DRIFTLINE__LIMITS__MAX_AGE": "null",
            "DRIFTLINE__WINDOWS": "[{size: 2m}]",
            "DRIFTLINE_CONFIG": "ignored",
            "HOME": "ignored",
        },
    )
    assert settings.pipeline.kafka.bootstrap_servers == "other:1"
    assert settings.pipeline.http.port == 2
    assert settings.tick_ms == 500
    assert settings.pipeline.limits.max_age is None
    assert settings.models["m"].windows == (WindowConfig(size=120_000),)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "DRIFTLINE__HTTP__PROT",
            "1",
            "DRIFTLINE__HTTP__PROT: http.prot: unknown key 'prot' (did you mean 'port'?)",
        ),
        (
            "DRIFTLINE__HTTP__PORT",
            "x",
            "DRIFTLINE__HTTP__PORT: http.port: must be a whole number",
        ),
        (
            "DRIFTLINE__APPLICATION__NAME",
            "x",
            "DRIFTLINE__APPLICATION__NAME: lies inside a value that is no mapping",
        ),
        (
            "DRIFTLINE__WINDOWS",
            "[{",
            "DRIFTLINE__WINDOWS: not valid YAML: expected the node content, but found ...",
        ),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(
    write: Write, name: str, value: str, expected: str
) -> None:
    path = write("application: a\n" + KAFKA)
    with pytest.raises(ConfigError) as raised:
        load(path, {name: value})
    assert str(raised.value) == expected


def test_a_worker_may_run_without_models_when_it_accepts_all(tmp_path: Path) -> None:
    path = tmp_path / "driftline.yaml"
    path.write_text("kafka: {bootstrap_servers: 'a:1'}\nprocessing: {unknown_models: accept}\n")
    assert load(path, {}).models == {}


def test_topics_are_named_by_the_prefix_unless_they_have_a_name() -> None:
    topics = TopicsConfig(prefix="ml", alerts="pages")
    assert topics.name("quarantine_predictions") == "ml.quarantine-predictions"
    assert topics.name("alerts") == "pages"
    with pytest.raises(KeyError):
        topics.name("prefix")


def test_co_partitioned_topics_have_as_many_partitions() -> None:
    topics = TopicsConfig(partitions=8, monitor_partitions=2, output_partitions=3)
    counts = {logical: topics.partitions_of(logical) for logical in TOPICS}
    assert counts["predictions"] == counts["feedback"] == counts["state_join"] == 8
    assert counts["partials"] == counts["state_monitor"] == 2
    assert counts["metrics"] == counts["alerts"] == counts["quarantine_feedback"] == 3
    with pytest.raises(KeyError):
        topics.partitions_of("partitions")


@given(st.lists(st.integers(1, 5_000).map(lambda s: s * 100), min_size=1, max_size=4))
def test_no_automatic_tick_reaches_over_the_end_of_a_pane(hops: list[int]) -> None:
    windows = [WindowConfig(size=hop) for hop in hops]
    tick = auto_tick_ms(windows)
    assert pane_ms(windows) % tick == 0
    assert tick <= max(1_000, min(hops) // 60)


@pytest.mark.parametrize(("hop", "tick"), [(500, 500), (60_000, 1_000), (3_600_000, 60_000)])
def test_an_automatic_tick_is_a_sixtieth_of_the_hop_and_at_least_a_second(
    hop: int, tick: int
) -> None:
    assert auto_tick_ms([WindowConfig(size=hop)]) == tick


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=4))
def test_every_window_is_made_of_whole_panes(shapes: list[tuple[int, int]]) -> None:
    windows = [WindowConfig(size=hop * times * 1_000, hop=hop * 1_000) for hop, times in shapes]
    pane = pane_ms(windows)
    assert all(window.size % pane == 0 == window.step % pane for window in windows)


@given(st.one_of(st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.text()))
def test_configured_classes_are_written_as_events_write_theirs(value: object) -> None:
    assert canonical_label(value) == canonical(value)  # type: ignore[arg-type] # any scalar


def test_defaults_depend_on_the_task() -> None:
    def model(**keys: object) -> ModelConfig:
        return ModelConfig.model_validate({"model": "m", **keys})

    binary = model(task="binary", classes=[False, True])
    assert binary.positive_class == "true"
    assert [(d.name, d.on) for d in binary.detectors] == [("adwin", "error")]
    assert [rule.name for rule in binary.alerts] == ["error-change", "silent"]
    ranking = model(task="ranking", features={"x": {"kind": "numeric"}}, label_horizon="2h")
    assert [rule.name for rule in ranking.alerts] == ["error-change", "silent", "missing"]
    assert ranking.truth_wait == 7_200_000
    assert model(task="outcome", outcomes={"click": {}}).detectors == ()
    assert model(task="regression", alerts=[], detectors=[]).alerts == ()


def test_a_model_with_a_reference_watches_its_features_for_drift() -> None:
    model = ModelConfig.model_validate(
        {
            "model": "m",
            "task": "regression",
            "features": {"x": {"kind": "numeric"}},
            "reference": "m.json",
        }
    )
    assert [rule.name for rule in model.alerts] == [
        "feature-drift",
        "error-change",
        "silent",
        "missing",
    ]


def test_the_public_form_is_a_configuration_again() -> None:
    settings = load(ROOT / "config" / "driftline.yaml", {})
    public = settings.dump_public()
    again = Settings.build(
        PipelineConfig.model_validate(public["pipeline"], context={}),
        [ModelConfig.model_validate(model, context={}) for model in public["models"].values()],
    )
    assert again == settings
