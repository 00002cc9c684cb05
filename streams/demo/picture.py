"""The picture in the README: ``python -m streams.demo.picture [FILE]``.

Runs the demo, and keeps its view as it is some seconds after the drift was found.
"""

import io
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from streams.demo.board import Board
from streams.demo.front import Front
from streams.demo.process import choose_port
from streams.demo.session import Plan, Session
from streams.demo.summary import moment
from streams.demo.view import HEIGHT, WIDTH, render
from streams.payloads import Alert

PICTURE = "docs/images/demo.svg"
AFTER_SECONDS = 20.0
"""So long after the drift was found, a window lies wholly in the changed world."""


class Photographer(Front):
    """Waits for the moment, takes one picture, and ends the run.

    Args:
        target: file of the picture.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self.session: Session | None = None

    def note(self, text: str) -> None:
        """Nothing is shown meanwhile."""

    def show(self, board: Board, news: list[Alert]) -> None:
        """Take the picture when it is time."""
        del news  # the board has them
        found = board.found
        if self.session is None or found is None:
            return
        if board.now - moment(found.opened_at) >= AFTER_SECONDS:
            # The folder of a run of one's own is not worth reading.
            board.config = "/tmp/driftline-demo/driftline.yaml"  # noqa: S108 - shown, not used
            console = Console(
                width=WIDTH, height=HEIGHT, record=True, file=io.StringIO(), force_terminal=True
            )
            console.print(render(board, WIDTH, HEIGHT))
            console.save_svg(str(self._target), title="driftline demo")
            self.session.stop()
            self.session = None

    def close(self, *, whole: bool) -> None:
        """Nothing is left behind."""


def take(target: Path, seed: int = 7) -> None:
    """Run the demo and write its picture.

    Args:
        target: file of the picture, SVG.
        seed: where the traffic's chance begins.
    """
    photographer = Photographer(target)
    with tempfile.TemporaryDirectory(prefix="driftline-demo-") as folder:
        session = Session(Plan(None, 400.0, seed, choose_port(None), Path(folder)), photographer)
        photographer.session = session
        session.run()


if __name__ == "__main__":
    take(Path(sys.argv[1] if len(sys.argv) > 1 else PICTURE))
