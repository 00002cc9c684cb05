"""Every kind of mistake, with the line and key at which it is reported."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.config.errors import ConfigError, Problem
from streams.config.load import load

Write = Callable[..., Path]

KAFKA = "kafka: {bootstrap_servers: 'broker:9092'}\nmodels: [models/*.yaml]\n"
SASL = "  sasl:\n    mechanism: {}\n    username: u\n"
PASSWORD = "    password: {env: PW}"
TOKEN = "    token: {env: PW}"
BINARY = "model: m\ntask: binary\nclasses: [a, b]\n"
NUMBERS = "model: m\ntask: regression\n"
FEATURES = "features:\n  x: {kind: numeric}\n  c: {kind: categorical}\n"


def problems(path: Path, **environment: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as raised:
        load(path, environment)
    return raised.value.problems


def only(path: Path) -> Problem:
    found = problems(path)
    assert len(found) == 1, "\n".join(map(str, found))
    return found[0]


@pytest.mark.parametrize(
    ("text", "line", "key", "message", "hint"),
    [
        (KAFKA + "htpp: {port: 1}\n", 3, "htpp", "unknown key 'htpp'", "did you mean 'http'?"),
        (KAFKA + "http:\n  prot: 1\n", 4, "http.prot", "unknown key 'prot'", "mean 'port'?"),
        (KAFKA + "http: {xyz: 1}\n", 3, "http.xyz", "unknown key 'xyz'", "known: host, port, max_"),
        ("models: [models/*.yaml]\n", 1, "kafka", "required key 'kafka' is missing", "brokers"),
        ("kafka: {}\nmodels: [models/*.yaml]\n", 1, "kafka.bootstrap_servers", "is missing", ""),
        (KAFKA + "http: {port: many}\n", 3, "http.port", "must be a whole number", ""),
        (KAFKA + "http: {port: 70000}\n", 3, "http.port", "must be at most 65535", ""),
        (KAFKA + "http: {host: 5}\n", 3, "http.host", "must be text; put it in quotes", ""),
        (KAFKA + "http: 5\n", 3, "http", "must be keys and values", ""),
        (KAFKA + "topics: {prefix: a b}\n", 3, "topics.prefix", "letters, digits or any of", ""),
        (KAFKA + "windows: {size: 1m}\n", 3, "windows", "must be a list", ""),
        (KAFKA + "windows: []\n", 3, "windows", "at least one window is needed", ""),
        (KAFKA + "windows:\n  - {size: 5}\n", 4, "windows[0].size", "write 5s, 5m or 5ms", ""),
        (KAFKA + "windows:\n- size: 0\n", 4, "windows[0].size", "must be more than 0", ""),
        (
            KAFKA + "windows:\n- size: 5m\n  hop: 2m\n",
            5,
            "windows[0].hop",
            "hop 2m does not divide size 5m",
            "",
        ),
        (KAFKA + "windows:\n- size: 1m\n- size: 60s\n", 5, "windows[1]", "is listed twice", ""),
        (
            KAFKA + "windows:\n- size: 1s\n- size: 7d\n",
            5,
            "windows[1].size",
            "share panes of only 1s",
            "",
        ),
        (
            KAFKA + "processing: {guarantee: exactly_onec}\n",
            3,
            "processing.guarantee",
            "unknown value 'exactly_onec'",
            "did you mean 'exactly_once'",
        ),
        (
            KAFKA + "processing: {unknown_models: acept}\n",
            3,
            "processing.unknown_models",
            "unknown value 'acept'",
            "did you mean 'accept'?",
        ),
        (KAFKA + "processing: {tick: 5}\n", 3, "processing.tick", "write 5s, 5m or 5ms, or a", ""),
        (KAFKA + "processing: {tick: 0}\n", 3, "processing.tick", "more than 0", ""),
        (
            KAFKA + "processing: {tick: 2m}\n",
            3,
            "processing.tick",
            "multiples of 1m; write auto",
            "",
        ),
        (
            KAFKA + "limits: {max_batch_bytes: 2000}\n",
            3,
            "limits.max_batch_bytes",
            "under max_event_bytes",
            "",
        ),
        (
            KAFKA + "topics: {alerts: driftline.metrics}\n",
            3,
            "topics.alerts",
            "metrics and alerts are both named",
            "",
        ),
        (
            KAFKA + "sinks: {publish_unmatched: [orfan]}\n",
            3,
            "sinks.publish_unmatched[0]",
            "unknown value 'orfan'",
            "did you mean 'orphan'?",
        ),
        ("kafka: {bootstrap_servers: a:1}\n", 1, "", "no models: list their files", ""),
        (
            "kafka: {bootstrap_servers: a:1}\nmodels: [other/*.yaml]\n",
            2,
            "models[0]",
            "there is no file",
            "",
        ),
        (
            "kafka: {bootstrap_servers: broker}\nmodels: [models/*.yaml]\n",
            1,
            "kafka.bootstrap_servers",
            "must be host:port",
            "",
        ),
    ],
)
def test_a_mistake_in_the_pipeline_is_reported_where_it_is(
    write: Write, text: str, line: int, key: str, message: str, hint: str
) -> None:
    path = write(text)
    problem = only(path)
    assert (problem.file, problem.line, problem.key) == (str(path), line, key)
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("kafka", "key", "message"),
    [
        ("security_protocol: SASL_SSL", "kafka", "SASL_SSL needs credentials; add sasl"),
        (
            "sasl: {mechanism: PLAIN, username: u, password: {env: PW}}",
            "kafka.sasl",
            "PLAINTEXT does not use sasl",
        ),
        ("tls: {}", "kafka.tls", "PLAINTEXT does not use tls"),
        (
            "security_protocol: SASL_SSL\n  sasl: {mechanism: PLAIN, username: u}",
            "kafka.sasl",
            "PLAIN needs password; add it",
        ),
        (
            "security_protocol: SASL_SSL\n" + SASL.format("OAUTHBEARER") + TOKEN,
            "kafka.sasl.username",
            "OAUTHBEARER does not use username",
        ),
        (
            "security_protocol: SASL_PLAINTEXT\n" + SASL.format("PLAIN") + PASSWORD,
            "kafka.security_protocol",
            "sends the password unencrypted",
        ),
        ("security_protocol: SSL\n  tls: {ca_file: ca.pem}", "kafka.tls.ca_file", "there is no"),
        (
            "security_protocol: SSL\n  tls: {key_file: driftline.yaml}",
            "kafka.tls",
            "belong together",
        ),
        (
            "security_protocol: SSL\n  tls: {key_password: {env: PW}}",
            "kafka.tls.key_password",
            "needs key_file",
        ),
    ],
)
def test_a_connection_that_cannot_work_or_is_not_safe_is_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch, kafka: str, key: str, message: str
) -> None:
    monkeypatch.setenv("PW", "secret-value")
    text = f"kafka:\n  bootstrap_servers: a:1\n  {kafka}\nmodels: [models/*.yaml]\n"
    problem = only(write(text))
    assert problem.key == key
    assert message in problem.message


RULE = "alerts:\n- rule: {}\n  name: r\n"

MISTAKES_IN_MODELS = [
    ("model: m\ntask: binary\nclasses: [a]\n", 3, "classes", "exactly two classes, not 1", ""),
    ("model: m\ntask: multiclass\nclasses: [a]\n", 3, "classes", "at least two", ""),
    ("model: m\ntask: binary\nclasses: [1, '1']\n", 3, "classes[1]", "class '1' is listed t", ""),
    (NUMBERS + "classes: [a]\n", 3, "classes", "regression has no classes", ""),
    (
        BINARY + "positive_class: bb\n",
        4,
        "positive_class",
        "'bb' is not one of",
        "did you mean 'b'?",
    ),
    (BINARY + "positive_class: null\n", 4, "positive_class", "name it or drop the key", ""),
    (NUMBERS + "positive_class: a\n", 3, "positive_class", "only binary models", ""),
    (NUMBERS + "threshold: 0.5\n", 3, "threshold", "only binary models", ""),
    (BINARY + "threshold: 1\n", 4, "threshold", "must be less than 1", ""),
    (BINARY + "threshold: 0\n", 4, "threshold", "must be more than 0", ""),
    (BINARY + "threshold: .nan\n", 4, "threshold", "must be a finite number", ""),
    (BINARY + "treshold: 0.5\n", 4, "treshold", "unknown key", "did you mean 'threshold'?"),
    ("model: a b\ntask: regression\n", 1, "model", "1 to 128 letters", ""),
    ("model: m\ntask: binari\n", 2, "task", "unknown value 'binari'", "did you mean 'binary'?"),
    ("model: m\ntask: outcome\n", 1, "outcomes", "lists the events", ""),
    (NUMBERS + "label_horizon: 0\n", 3, "label_horizon", "must be more than 0", ""),
    (
        NUMBERS + "features:\n  x: {kind: numeric, range: [2, 1]}\n",
        4,
        "features.x.range",
        "the low end 2 must be under 1",
        "",
    ),
    (
        NUMBERS + "features:\n  x: {kind: categorical, range: [1, 2]}\n",
        4,
        "features.x.range",
        "a categorical feature has no range",
        "",
    ),
    (
        NUMBERS + "features:\n  x: {kind: numeric, categories: [a]}\n",
        4,
        "features.x.categories",
        "a numeric feature has no categories",
        "",
    ),
    (NUMBERS + FEATURES + "segments: [x]\n", 6, "segments[0].by[0]", "'x' is a numeric", ""),
    (NUMBERS + "segments: [a b]\n", 3, "segments[0]", "letters, digits or any of", ""),
    (NUMBERS + "top_k: [5, 5]\n", 3, "top_k[1]", "cut-off '5' is listed twice", ""),
    (
        NUMBERS + "features: {any: {kind: numeric}}\n",
        3,
        "features.any",
        "means every feature",
        "",
    ),
    (NUMBERS + "segments: [a, a]\n", 3, "segments[1]", "'a' is listed twice", ""),
    (NUMBERS + "windows:\n- size: 5m\n  hop: 3m\n", 5, "windows[0].hop", "does not divide", ""),
    (
        NUMBERS + "detectors:\n- kind: adwn\n",
        4,
        "detectors[0].kind",
        "unknown detector 'adwn'",
        "did you mean 'adwin'?",
    ),
    (
        NUMBERS + "detectors:\n- kind: adwin\n  params: {delta: 2}\n",
        5,
        "detectors[0].params",
        "delta",
        "",
    ),
    (
        NUMBERS + "detectors:\n- kind: adwin\n  params: {delta: [2]}\n",
        5,
        "detectors[0].params.delta",
        "must be a number, text, true or false",
        "",
    ),
    (
        NUMBERS + FEATURES + "detectors:\n- kind: adwin\n  on: feature:xx\n",
        8,
        "detectors[0].on",
        "there is no feature 'xx'",
        "did you mean 'x'?",
    ),
    (
        NUMBERS + FEATURES + "detectors:\n- kind: adwin\n  on: feature:c\n",
        8,
        "detectors[0].on",
        "feature 'c' is categorical",
        "",
    ),
    (
        NUMBERS + "detectors:\n- kind: adwin\n  on: eror\n",
        5,
        "detectors[0].on",
        "cannot watch 'eror'",
        "did you mean 'error'?",
    ),
    (
        NUMBERS + "detectors:\n- kind: adwin\n  on: score\n",
        5,
        "detectors[0].on",
        "regression has no score",
        "",
    ),
    (
        NUMBERS + "detectors:\n- kind: hddm_a\n",
        4,
        "detectors[0].kind",
        "hddm_a watches a number from 0 to 1; for the error of a regression model use adwin",
        "",
    ),
    (
        BINARY + "detectors:\n- kind: eddm\n  on: score\n",
        5,
        "detectors[0].kind",
        "eddm watches 0 or 1; for the score of a binary model use adwin",
        "",
    ),
    (
        NUMBERS + FEATURES + "detectors:\n- kind: ddm\n  on: feature:x\n",
        7,
        "detectors[0].kind",
        "ddm watches a number from 0 to 1; for the feature:x of a regression model",
        "",
    ),
    (
        "model: m\ntask: outcome\noutcomes: {a: {}}\ndetectors:\n- kind: adwin\n",
        5,
        "detectors[0].on",
        "a model of task outcome has no error",
        "",
    ),
    (
        NUMBERS + "detectors:\n- kind: adwin\n- kind: adwin\n",
        5,
        "detectors[1]",
        "detector 'adwin' is listed twice",
        "",
    ),
    (
        NUMBERS + "drift:\n  distances: [psy]\n",
        4,
        "drift.distances[0]",
        "unknown distance 'psy'",
        "mean 'psi'?",
    ),
    (NUMBERS + "drift: {window: 3m}\n", 3, "drift.window", "no window of 3m", "windows: 1m, 5m"),
    (NUMBERS + "reference: no.json\n", 3, "reference", "there is no file", ""),
    (NUMBERS + "alerts:\n- name: r\n", 4, "alerts[0].rule", "required key 'rule'", ""),
    (
        NUMBERS + RULE.format("treshold"),
        4,
        "alerts[0].rule",
        "unknown value 'treshold'",
        "did you mean 'threshold'?",
    ),
    (
        NUMBERS + RULE.format("threshold") + "  metric: mea\n  above: 1\n",
        6,
        "alerts[0].metric",
        "unknown metric 'mea'",
        "did you mean",
    ),
    (
        NUMBERS + RULE.format("threshold") + "  metric: f1\n  above: 1\n",
        6,
        "alerts[0].metric",
        "'f1' is a metric of binary models",
        "",
    ),
    (
        NUMBERS + RULE.format("threshold") + "  metric: ndcg_at_5\n  above: 1\n",
        6,
        "alerts[0].metric",
        "is a metric of ranking models",
        "",
    ),
    (
        "model: m\ntask: ranking\n"
        + RULE.format("threshold")
        + "  metric: ndcg_at_7\n  above: 1\n",
        6,
        "alerts[0].metric",
        "needs its cut-off in top_k",
        "did you mean 'ndcg_at_5'?",
    ),
    (
        NUMBERS + RULE.format("threshold") + "  metric: ctr\n  above: 1\n",
        6,
        "alerts[0].metric",
        "needs an outcome with role: click",
        "",
    ),
    (
        NUMBERS + RULE.format("threshold") + "  metric: distinct_users\n  above: 1\n",
        6,
        "alerts[0].metric",
        "needs distinct",
        "",
    ),
    (NUMBERS + RULE.format("threshold") + "  metric: mae\n", 4, "alerts[0]", "give a limit", ""),
    (
        NUMBERS + RULE.format("threshold") + "  metric: mae\n  above: 1\n  clear_below: 2\n",
        8,
        "alerts[0].clear_below",
        "needs an above that is not lower",
        "",
    ),
    (
        NUMBERS + RULE.format("threshold") + "  metric: r2\n  below: 1\n  clear_above: 0\n",
        8,
        "alerts[0].clear_above",
        "needs a below that is not higher",
        "",
    ),
    (
        NUMBERS + RULE.format("threshold") + "  metric: mae\n  above: 1\n  window: 2m\n",
        8,
        "alerts[0].window",
        "no window of 2m",
        "its windows: 1m, 5m",
    ),
    (
        NUMBERS + RULE.format("threshold") + "  metric: mae\n  relative_to_reference: 0.1\n",
        7,
        "alerts[0].relative_to_reference",
        "needs a reference profile",
        "",
    ),
    (
        NUMBERS + RULE.format("threshold") + "  metric: mae\n  above: 1\n  segments: [land]\n",
        8,
        "alerts[0].segments[0]",
        "there is no segment 'land'",
        "",
    ),
    (
        NUMBERS + RULE.format("threshold") + "  metric: mae\n  above: 1\n  segments: some\n",
        8,
        "alerts[0].segments",
        "must be none, all, or a list",
        "",
    ),
    (NUMBERS + RULE.format("drift"), 4, "alerts[0].rule", "needs a reference profile", ""),
    (
        NUMBERS + RULE.format("detector") + "  detector: ddm\n",
        6,
        "alerts[0].detector",
        "the model has no detector 'ddm'",
        "known: adwin",
    ),
    (
        NUMBERS
        + FEATURES
        + RULE.format("quality")
        + "  check: missing_rate\n  feature: d\n  above: 0\n",
        10,
        "alerts[0].feature",
        "there is no feature 'd'",
        "",
    ),
    (
        NUMBERS + RULE.format("quality") + "  check: missing_rate\n  above: 0\n",
        4,
        "alerts[0].feature",
        "declares no features",
        "",
    ),
    (
        NUMBERS + FEATURES + RULE.format("quality") + "  check: range_violation_rate\n  above: 0\n",
        9,
        "alerts[0].check",
        "no watched feature has a range",
        "",
    ),
    (NUMBERS + RULE.format("volume"), 4, "alerts[0]", "give a limit: below, above", ""),
    (
        NUMBERS + RULE.format("volume") + "  below: 2\n  above: 1\n",
        7,
        "alerts[0].above",
        "above must be greater than below",
        "",
    ),
    (NUMBERS + RULE.format("staleness"), 4, "alerts[0]", "give a limit: predictions_after", ""),
    (
        NUMBERS
        + "alerts:\n- {rule: volume, name: r, below: 1}\n- {rule: volume, name: r, above: 1}\n",
        5,
        "alerts[1].name",
        "rule 'r' is listed twice",
        "",
    ),
]


@pytest.mark.parametrize(("text", "line", "key", "message", "hint"), MISTAKES_IN_MODELS)
def test_a_mistake_in_a_model_is_reported_where_it_is(
    write: Write, text: str, line: int, key: str, message: str, hint: str
) -> None:
    path = write(m=text)
    problem = only(path)
    assert problem.file == str(path.parent / "models" / "m.yaml")
    assert (problem.line, problem.key) == (line, key)
    assert message in problem.message
    assert hint in problem.hint


def test_all_problems_of_all_files_come_at_once(write: Write) -> None:
    path = write(
        KAFKA + "http: {prot: 1}\nkafka: {}\n",
        a=BINARY + "treshold: 0.5\nlabel_horizon: 5\n",
        b="model: m\n",
        c="task: [",
    )
    found = {(Path(problem.file).name, problem.line, problem.key) for problem in problems(path)}
    assert found == {
        ("driftline.yaml", 3, "http.prot"),
        ("driftline.yaml", 4, "kafka"),
        ("a.yaml", 4, "treshold"),
        ("a.yaml", 5, "label_horizon"),
        ("b.yaml", 1, "task"),
        ("b.yaml", 1, "model"),
        ("c.yaml", 1, ""),
    }


def test_an_unknown_key_does_not_hide_what_is_wrong_between_keys(write: Write) -> None:
    path = write(m="model: m\ntask: binary\nclases: [a, b, c]\nownr: me\n")
    found = [(problem.line, problem.key, problem.message) for problem in problems(path)]
    assert found == [
        (3, "clases", "unknown key 'clases'"),
        (3, "classes", "a binary model has exactly two classes, not 3; list both"),
        (4, "ownr", "unknown key 'ownr'"),
    ]


def test_a_rule_broken_inside_a_part_does_not_hide_one_of_the_whole(write: Write) -> None:
    text = NUMBERS + "threshold: 0.5\nfeatures:\n  x: {kind: numeric, range: [2, 1]}\n"
    found = [(problem.line, problem.key) for problem in problems(write(m=text))]
    assert found == [(3, "threshold"), (5, "features.x.range")]


def test_problems_come_in_the_order_of_the_file(write: Write) -> None:
    text = "owner: 5\nlabel_horizon: 5\nclasses: 5\ntask: five\nmodel: m\n"
    assert [problem.line for problem in problems(write(m=text))] == [1, 2, 3, 4]


def test_every_repetition_of_a_key_is_found_at_any_depth(write: Write) -> None:
    text = textwrap.dedent("""\
        model: m
        task: regression
        features:
          x: {kind: numeric}
          x: {kind: numeric, kind: numeric}
        model: n
    """)
    found = [(problem.line, problem.key, problem.message) for problem in problems(write(m=text))]
    assert found == [
        (5, "features.x", "the key is already on line 4; keep one"),
        (6, "model", "the key is already on line 1; keep one"),
    ]


def test_two_files_may_not_describe_one_model(write: Write) -> None:
    path = write(a=NUMBERS, b="task: regression\nmodel: m\n")
    problem = only(path)
    assert (Path(problem.file).name, problem.line, problem.key) == ("b.yaml", 2, "model")
    assert "a.yaml" in problem.message


def test_a_file_that_two_globs_match_is_one_model(write: Write) -> None:
    path = write(KAFKA.replace("[models/*.yaml]", "[models/*.yaml, models/m.yaml]"), m=NUMBERS)
    assert list(load(path, {}).models) == ["m"]


def test_a_missing_pipeline_file_is_named(tmp_path: Path) -> None:
    problem = only(tmp_path / "none.yaml")
    assert problem.message == "the file cannot be read: No such file or directory"


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "driftline.yaml"
    path.write_bytes(b"\xff\xfe\xff")
    assert only(path).message == "the file is not UTF-8 text"


def test_a_problem_reads_as_a_compiler_writes_it() -> None:
    problem = Problem("a.yaml", 3, "http.prot", "unknown key 'prot'", "did you mean 'port'?")
    assert str(problem) == "a.yaml:3: http.prot: unknown key 'prot' (did you mean 'port'?)"
