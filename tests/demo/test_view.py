"""What the demo shows, and where it fits."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from streams.demo import setup
from streams.demo.board import Board, ModelBoard
from streams.demo.figures import Figures
from streams.demo.front import LiveFront, PlainFront, choose_front
from streams.demo.view import render
from streams.payloads import Alert, Distance, Evidence, MetricValue, Window, rfc3339

NOW = 1_795_600_830.0
SENTENCE = "fraud: the mean error moved from 0.042 to 0.18 at 20 Nov 18:46:25 UTC, found by adwin"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> setup.Files:
    return setup.write(tmp_path_factory.mktemp("demo"), "127.0.0.1:4242", 4343)


def empty(files: setup.Files) -> Board:
    metrics = {"fraud": ("accuracy", "recall", "roc_auc"), "delivery": ("mae", "rmse", "r2")}
    models = {name: ModelBoard(files.settings.models[name], m) for name, m in metrics.items()}
    return Board(
        files.settings, 4343, "/tmp/driftline.yaml", models, "running", NOW - 30, NOW, None, NOW - 5
    )


def window(start: float, accuracy: float, view: str = "label_time", revision: int = 0) -> Window:
    return Window(
        id=f"{view}{start}{revision}",
        model="fraud",
        model_version="*",
        segment="*",
        view=view,  # type: ignore[arg-type]  # a plain string in tests
        start=rfc3339(round(start * 1000)),
        end=rfc3339(round((start + 10) * 1000)),
        size_s=10,
        hop_s=10,
        revision=revision,
        final=True,
        published_at_event_time=rfc3339(round((start + 10) * 1000)),
        labels=4000,
        metrics={"accuracy": MetricValue(value=accuracy, n=4000, low=0.9, high=0.97)},
        operation={},
        drift={"feature:country": {"psi": Distance(value=0.31, n=4000)}},
    )


def alert(number: int) -> Alert:
    at = rfc3339(round(NOW * 1000) - 3000 + number)
    return Alert(
        id=f"a{number}-0",
        fingerprint=f"a{number}",
        revision=0,
        status="open",
        severity="critical",
        rule="error-change",
        model="fraud",
        model_version="*",
        segment="*",
        summary=SENTENCE,
        opened_at=at,
        at=at,
        evidence=Evidence(metric="error"),
    )


def full(files: setup.Files) -> Board:
    board = empty(files)
    board.take([window(NOW - 20, 0.95), window(NOW - 20, 0.95, "prediction_time")])
    board.take([alert(number) for number in range(30)])
    sides = {"in": 123_456, "joined": 123_000, "waiting": 400, "expired": 50, "duplicate": 6}
    board.take_figures(Figures(sides, sides), NOW)
    return board


def lines(board: Board, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True)
    console.print(render(board, width, height))
    return console.export_text().splitlines()


@pytest.mark.parametrize(("width", "height"), [(100, 30), (120, 40), (200, 60)])
def test_the_view_fits_the_terminal_however_much_there_is_to_tell(
    files: setup.Files, width: int, height: int
) -> None:
    for board in (empty(files), full(files)):
        drawn = lines(board, width, height)
        assert len(drawn) <= height
        assert max(map(len, drawn)) <= width


def test_the_view_says_what_was_found_and_where_to_look(files: setup.Files) -> None:
    text = "\n".join(lines(full(files), 100, 30))
    for part in (
        "found after 2.0 s",
        "0.950",
        "country",
        "critical",
        "in balance",
        "curl http://127.0.0.1:4343/metrics",
        "driftline alerts --follow --config /tmp/driftline.yaml",
        "driftline.alerts at 127.0.0.1:4242",
    ):
        assert part in text


def test_an_older_window_does_not_replace_a_newer_one(files: setup.Files) -> None:
    board = empty(files)
    board.take([window(NOW - 20, 0.95), window(NOW - 30, 0.5), window(NOW - 20, 0.5)])
    assert board.models["fraud"].quality["accuracy"].value == 0.95
    assert list(board.models["fraud"].history) == [0.95]


def test_an_alert_that_comes_twice_is_news_once(files: setup.Files) -> None:
    board = empty(files)
    assert board.take([alert(1)]) == [alert(1)]
    assert board.take([alert(1)]) == []
    assert board.open_alerts == 1


def test_a_pipe_gets_plain_lines_and_a_terminal_with_room_the_view() -> None:
    assert isinstance(choose_front(Console(file=io.StringIO())), PlainFront)
    small = Console(file=io.StringIO(), force_terminal=True, width=60, height=20)
    assert isinstance(choose_front(small), PlainFront)
    large = Console(file=io.StringIO(), force_terminal=True, width=100, height=30)
    large._environ = {"TERM": "xterm"}
    assert isinstance(choose_front(large), LiveFront)
    large._environ = {"TERM": "dumb"}
    assert isinstance(choose_front(large), PlainFront)


def test_plain_lines_tell_drift_and_alerts_once_and_carry_no_escapes(files: setup.Files) -> None:
    out = io.StringIO()
    with PlainFront(Console(file=out)) as front:
        board = full(files)
        for _ in range(3):
            front.show(board, board.alerts[:1] if not out.getvalue() else [])
    text = out.getvalue()
    assert text.count("drift injected") == 1
    assert text.count(SENTENCE) == 1
    assert "\x1b" not in text


def test_the_live_view_gives_the_terminal_back_and_leaves_its_last_picture(
    files: setup.Files, tmp_path: Path
) -> None:
    target = tmp_path / "terminal"
    with target.open("w") as out:
        console = Console(file=out, force_terminal=True, width=100, height=30)
        with LiveFront(console) as front:
            front.note("starting")
            front.show(full(files), [])
    text = target.read_text()
    assert text.index("\x1b[?1049h") < text.index("\x1b[?1049l") < text.rindex("look around")
