import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.cli.main import main
from streams.config.errors import ConfigError
from streams.config.load import load

Write = Callable[..., Path]

PLANTED = "hunter2-correct-horse"
MODEL = "model: m\ntask: regression\n"


def pipeline(password: str, extra: str = "") -> str:
    return (
        "kafka:\n  bootstrap_servers: broker:9092\n  security_protocol: SASL_SSL\n"
        f"  sasl:\n    mechanism: PLAIN\n    username: u\n    {password}\n"
        f"models: [models/*.yaml]\n{extra}"
    )


def test_a_secret_comes_from_the_environment_or_a_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PW", PLANTED)
    (tmp_path / "pw").write_text(PLANTED + "\n")
    for text in ("password: {env: PW}", "password: {file: pw}"):
        sasl = load(write(pipeline(text), m=MODEL), {}).pipeline.kafka.sasl
        assert sasl is not None
        assert sasl.password == SecretStr(PLANTED)


def test_the_environment_may_give_a_secret_as_it_is(write: Write) -> None:
    path = write(pipeline("password: {env: NOT_SET}"), m=MODEL)
    sasl = load(path, {"DRIFTLINE__KAFKA__SASL__PASSWORD": PLANTED}).pipeline.kafka.sasl
    assert sasl is not None
    assert sasl.password == SecretStr(PLANTED)


@pytest.mark.parametrize(
    ("password", "message"),
    [
        (f"password: {PLANTED}", "never written in the file; write {env: NAME} or {file: path}"),
        (f"password: [{PLANTED}]", "never written in the file"),
        ("password: {env: NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE is not set; set it before"),
        ("password: {env: EMPTY}", "EMPTY is empty"),
        ("password: {env: 5}", "env takes the name"),
        ("password: {file: none}", "cannot be read: No such file"),
        ("password: {file: empty}", "is empty"),
        ("password: {file: binary}", "is not UTF-8 text"),
        ("password: {file: 5}", "file takes the path"),
        ("password: {env: A, file: b}", "exactly one of the keys env and file"),
        (f"password: {{value: {PLANTED}}}", "exactly one of the keys env and file"),
    ],
)
def test_a_secret_that_is_not_there_or_is_written_out_is_refused(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str, message: str
) -> None:
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(ConfigError) as raised:
        load(write(pipeline(password), m=MODEL), {})
    (problem,) = raised.value.problems
    assert (problem.line, problem.key) == (7, "kafka.sasl.password")
    assert message in problem.message


FAILING_STARTS = [
    pipeline(f"password: {PLANTED}"),
    pipeline(f"pasword: {PLANTED}"),
    pipeline(f"password: {{value: {PLANTED}}}"),
    pipeline(f"password: *{PLANTED}"),
    pipeline(f"password: !{PLANTED} x"),
    pipeline(f"password: '{PLANTED}"),
    pipeline(f"password: {PLANTED}: x"),
    pipeline(f"password: @{PLANTED}"),
    pipeline(f"password: {PLANTED}\n    password: {PLANTED}-again"),
    pipeline("password: {env: PLANTED}", "http: {port: wrong}\n"),
    pipeline("password: {env: PLANTED}\n    token: {env: PLANTED}"),
    pipeline("password: {file: planted}", "nonsense: 1\n"),
    pipeline("password: {env: PLANTED}", "windows: []\n"),
]


@pytest.mark.parametrize("text", FAILING_STARTS)
def test_no_output_of_a_failing_start_holds_a_secret(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("PLANTED", PLANTED)
    (tmp_path / "planted").write_text(PLANTED)
    with pytest.raises(ConfigError) as raised:
        load(write(text, m=MODEL), {})
    error = raised.value
    chain = [error, error.__cause__, error.__context__]
    everything = [*map(str, chain), *map(repr, chain), str(error.problems)]
    assert [output for output in everything if PLANTED in output] == []


def test_no_command_prints_a_secret(
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PLANTED", PLANTED)
    good = write(pipeline("password: {env: PLANTED}"), m=MODEL)
    bad = tmp_path / "bad.yaml"
    bad.write_text(pipeline(f"password: {PLANTED}"))
    for arguments in (["show", good], ["check", good], ["show", bad], ["check", "--json", bad]):
        code = main(["config", *map(str, arguments)])
        done = capsys.readouterr()
        assert code == (2 if bad in arguments else 0)
        assert done.out or done.err
        assert PLANTED not in done.out + done.err


def test_settings_show_no_secret_in_any_form(
    write: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PLANTED", PLANTED)
    settings = load(write(pipeline("password: {env: PLANTED}"), m=MODEL), {})
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").info("%s %r", settings, settings.dump_public())
    forms = [repr(settings), str(settings.pipeline), json.dumps(settings.dump_public())]
    forms += [settings.pipeline.model_dump_json(), str(settings.pipeline.model_dump()), caplog.text]
    assert [form for form in forms if PLANTED in form] == []
    assert settings.dump_public()["pipeline"]["kafka"]["sasl"]["password"] == "**********"
