"""Two ways to watch the demo: a live view where there can be one, plain lines elsewhere."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from streams.demo.board import Board, ModelBoard
from streams.demo.summary import moment
from streams.demo.view import HEIGHT, WIDTH, clock, render
from streams.payloads import Alert

_LINE_EVERY = 5.0


class Front(ABC):
    """Shows a board to somebody."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Say what is going on before there is a board."""

    @abstractmethod
    def show(self, board: Board, news: list[Alert]) -> None:
        """Show a board; called several times a second, with the alerts since the last call."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(whole=error is None)

    @abstractmethod
    def close(self, *, whole: bool) -> None:
        """Stop showing; ``whole`` when the run came to its end."""


class LiveFront(Front):
    """Redraws the whole terminal; leaves the last view behind."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._board: Board | None = None
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def note(self, text: str) -> None:
        """Say it on a line of its own."""
        self._console.print(f"  {text}", style="grey62", highlight=False)

    def show(self, board: Board, news: list[Alert]) -> None:
        """Draw the board."""
        del news  # the board has them
        if self._board is None:
            self._live.start()
        self._board = board
        self._live.update(render(board, *self._console.size), refresh=True)

    def close(self, *, whole: bool) -> None:
        """Give the terminal back."""
        self._live.stop()
        if self._board is not None and whole:
            self._console.print(render(self._board, self._console.width, HEIGHT))


class PlainFront(Front):
    """Prints a line now and then, and each alert as it comes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0
        self._phase = ""
        self._drift_told = False

    def note(self, text: str) -> None:
        """Print it."""
        self._print(text)

    def show(self, board: Board, news: list[Alert]) -> None:
        """Print what is new."""
        if board.drifted and not self._drift_told:
            self._drift_told = True
            self._print(f"{clock(board.drift_at)}  drift injected in fraud")
        for alert in news:
            if alert.status != "update":
                word = "resolved" if alert.status == "resolved" else alert.severity
                self._print(f"{clock(moment(alert.at))}  {word}: {alert.summary}")
        if board.phase != self._phase:
            self._phase = board.phase
            self._print(f"{clock(board.now)}  {board.phase}")
        if board.now >= self._next:
            self._next = board.now + _LINE_EVERY
            models = "; ".join(_model(model) for model in board.models.values())
            predictions, feedback = board.rates
            self._print(
                f"{clock(board.now)}  {predictions:,.0f} predictions/s, {feedback:,.0f} labels/s, "
                f"{board.figures.lag:,} behind; {models}"
            )

    def close(self, *, whole: bool) -> None:
        """Leave the lines as they are."""

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _model(board: ModelBoard) -> str:
    name = board.metrics[0]
    metric = board.quality.get(name)
    if metric is None:
        return f"{board.name}: no window yet"
    coverage = "" if board.coverage is None else f", {board.coverage:.0%} labelled"
    return f"{board.name}: {name} {metric.value:.3f}{coverage}"


def choose_front(console: Console) -> Front:
    """A live view where there is a terminal that can show it, plain lines otherwise."""
    able = console.is_terminal and not console.is_dumb_terminal
    roomy = console.width >= WIDTH - 10 and console.height >= HEIGHT - 4
    return LiveFront(console) if able and roomy else PlainFront(console)
