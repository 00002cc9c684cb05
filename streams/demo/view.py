"""The demo's view for a terminal of 100 by 30 or more."""

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from streams.demo.board import Board, ModelBoard
from streams.demo.summary import moment
from streams.payloads import Alert, MetricValue

WIDTH, HEIGHT = 100, 30
"""What the view needs at least."""

PSI_LIMIT = 0.25
_DASH = "\N{EN DASH}"
_BAR = 14
_BARS = " ▁▂▃▄▅▆▇█"
_SHOWN_FEATURES = 3
_ABOVE_ALERTS = 14
_BELOW_ALERTS = 8
_COLOURS = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
_OUTCOMES = {
    "in": "in",
    "joined": "= joined",
    "waiting": "waiting",
    "expired": "expired",
    "duplicate": "twice",
    "corrected": "corrected",
    "conflict": "conflict",
    "late": "late",
    "orphan": "orphan",
    "quarantined": "quarantined",
}
_USUAL_OUTCOMES = frozenset(_OUTCOMES) - {"conflict"}
_NAMES = {"roc_auc": "ROC AUC", "mae": "MAE", "rmse": "RMSE", "r2": "R²"}


def render(board: Board, width: int, height: int) -> RenderableType:
    """Draw a board.

    Args:
        board: what is known.
        width: columns of the terminal.
        height: its rows; alerts get those that are left.
    """
    models = Table.grid(expand=True, padding=(0, 1))
    for _ in board.models:
        models.add_column(ratio=1)
    models.add_row(*(_model(model) for model in board.models.values()))
    room = max(2, height - _ABOVE_ALERTS - _BELOW_ALERTS)
    return Padding(
        Group(
            _head(board),
            Rule(_drift_line(board), style="grey39", align="left"),
            models,
            _titled(f"alerts · {board.open_alerts} open"),
            _alerts(board.alerts, width - 2, room),
            _titled(_state_of_books(board)),
            _books(board),
            _titled("look around"),
            *_places(board),
        ),
        (0, 1),
    )


def _head(board: Board) -> Table:
    predictions, feedback = board.rates
    grid = Table.grid(expand=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    left = Text.assemble(("driftline demo", "bold"), (f"  {board.phase}", "grey62"))
    of = "" if board.seconds is None else f" of {board.seconds:.0f}"
    right = Text.assemble(
        f"{predictions:,.0f} ",
        ("predictions/s   ", "grey62"),
        f"{feedback:,.0f} ",
        ("labels/s   ", "grey62"),
        f"{board.figures.lag:,} ",
        ("behind   ", "grey62"),
        f"{board.elapsed:.0f}{of} ",
        ("s", "grey62"),
    )
    grid.add_row(left, right)
    return grid


def _drift_line(board: Board) -> Text:
    if not board.drifted:
        wait = board.drift_at - board.now
        if wait == float("inf"):
            return Text("")
        return Text(f"the world of fraud changes in {wait:.0f} s", "grey62")
    text = Text.assemble("drift injected in fraud at ", (clock(board.drift_at), "bold"), " UTC")
    found = board.found
    if found is None:
        since = board.now - board.drift_at
        return text.append(f", not found yet after {since:.0f} s", "yellow")
    delay = moment(found.opened_at) - board.drift_at
    text.append(", ")
    text.append(f"found after {delay:.1f} s", "bold green")
    return text.append(f" by {found.rule}")


def _model(board: ModelBoard) -> RenderableType:
    config = board.model.config
    title = Text.assemble((board.name, "bold"), (f"  {config.task}", "grey62"))
    facts = [
        None if board.rate is None else f"{board.rate:,.0f} predictions/s",
        None if board.coverage is None else f"{board.coverage:.0%} labelled",
        None if board.latency is None else f"p99 {board.latency:.0f} ms",
    ]
    known = " · ".join(fact for fact in facts if fact) or "no window yet"
    return Group(title, Text(known, "grey62"), _quality(board), _trend(board), _features(board))


def _quality(board: ModelBoard) -> Table:
    reference = board.model.reference
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=9)
    table.add_column(width=7, justify="right")
    table.add_column(width=13, style="grey62", justify="right")
    table.add_column(width=9, style="grey62", justify="right")
    table.add_row("", Text("now", "grey62"), "95 % interval", "reference")
    for name in board.metrics:
        metric = board.quality.get(name)
        usual = None if reference is None else reference.metrics.get(name)
        value = Text(_DASH if metric is None else _number(metric.value))
        between = ""
        if metric is not None and metric.low is not None and metric.high is not None:
            between = f"{_number(metric.low)}{_DASH}{_number(metric.high)}"
        if metric is not None and usual is not None and _off(metric, usual):
            value.stylize("bold red")
        known = "" if usual is None else _number(usual)
        table.add_row(_NAMES.get(name, name), value, between, known)
    return table


def _off(metric: MetricValue, usual: float) -> bool:
    """Whether a value is far from the reference and its interval does not reach it."""
    if metric.low is None or metric.high is None or abs(metric.value - usual) < 0.05 * abs(usual):
        return False
    return not metric.low <= usual <= metric.high


def _trend(board: ModelBoard) -> Text:
    name = board.metrics[0]
    values = list(board.history)
    text = Text(f"{_NAMES.get(name, name):<9}  ", "grey62")
    if values:
        low, high = min(values), max(values)
        # Ordinary wobble shall look like a line, so the scale never spans less than a tenth.
        span = max(high - low, 0.1 * abs(high), 1e-9)
        steps = len(_BARS) - 2
        bars = (_BARS[1 + round((v - (high - span)) / span * steps)] for v in values)
        text.append("".join(bars), "cyan")
    for version, metric in sorted(board.versions.items()):
        if len(board.versions) > 1:
            text.append(f"   v{version} {_number(metric.value)}", "grey62")
    return text


def _features(board: ModelBoard) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=18)
    table.add_column(width=5, justify="right")
    table.add_column()
    worst = sorted(board.drift.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN_FEATURES]
    limit = f"limit {PSI_LIMIT}"
    table.add_row(*(Text(text, "grey62") for text in ("inputs moved most", "PSI", limit)))
    for name, value in worst:
        above = value > PSI_LIMIT
        filled = min(_BAR, round(value / PSI_LIMIT * _BAR / 2))
        bar = Text("━" * filled, "red" if above else "cyan")
        bar.append("━" * (_BAR - filled), "grey23")
        table.add_row(name, Text(f"{value:.2f}", "bold red" if above else ""), bar)
    if not worst:
        table.add_row(Text(_DASH, "grey62"), "", "")
    for _ in range(_SHOWN_FEATURES - max(1, len(worst))):
        table.add_row("", "", "")
    return table


def _alerts(alerts: list[Alert], width: int, room: int) -> RenderableType:
    """The newest alerts, newest first, as many as fit."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        grid.add_column()
    used = 0
    text_width = width - 8 - 2 - 8 - 2
    for alert in reversed([a for a in alerts if a.status != "update"]):
        resolved = alert.status == "resolved"
        word = "resolved" if resolved else alert.severity
        sentence = Text(alert.summary, "grey62" if resolved else "")
        lines = 1 + max(0, len(alert.summary) - 1) // max(20, text_width - 8)
        if used + lines > room:
            break
        used += lines
        grid.add_row(
            Text(clock(moment(alert.at)), "grey62"),
            Text(word, "green" if resolved else _COLOURS[alert.severity]),
            sentence,
        )
    if not used:
        grid.add_row(Text("none yet", "grey62"), "", "")
        used = 1
    return Group(grid, *(Text("") for _ in range(room - used)))


def _state_of_books(board: Board) -> str:
    if not board.figures.rows:
        return "books"
    return "books · in balance" if board.figures.balanced else "books · OUT OF BALANCE"


def _books(board: Board) -> Table:
    figures = board.figures
    sides = {"predictions": figures.predictions, "labels": figures.feedback}
    shown = [
        outcome
        for outcome in _OUTCOMES
        if outcome in _USUAL_OUTCOMES or any(side.get(outcome) for side in sides.values())
    ]
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="grey62", no_wrap=True)
    for _ in shown:
        table.add_column(justify="right", no_wrap=True)
    table.add_row("", *(Text(_OUTCOMES[outcome], "grey62") for outcome in shown))
    for name, side in sides.items():
        table.add_row(name, *(f"{side[o]:,}" if o in side else "" for o in shown))
    return table


def _places(board: Board) -> list[Text]:
    name = board.settings.pipeline.topics.name
    return [
        Text.assemble(
            ("scrape     ", "grey62"), f"curl http://127.0.0.1:{board.port}/metrics", no_wrap=True
        ),
        Text.assemble(
            ("follow     ", "grey62"),
            f"driftline alerts --follow --config {board.config}",
            no_wrap=True,
        ),
        Text.assemble(
            ("subscribe  ", "grey62"),
            f"{name('metrics')}, {name('alerts')}",
            (" at ", "grey62"),
            board.bootstrap_servers,
            no_wrap=True,
        ),
    ]


def _titled(title: str) -> Rule:
    return Rule(Text(title, "grey62"), style="grey39", align="left")


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"


def clock(seconds: float) -> str:
    """Time of day in UTC of seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")
