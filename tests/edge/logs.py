"""A broker in memory for tests of the checkpoint protocol: it can fail before any record."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from streams.edge.keys import Keys
from streams.edge.saved import Restored, StateFold
from streams.edge.sender import Record

STATE = "app.state-join"


class Crash(Exception):  # noqa: N818 - it stands for the end of a process
    """The process ended here."""


@dataclass
class Logs:
    """Records by topic, in order; ``fuse`` is how many more are taken before a crash."""

    topics: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    commits: list[dict[str, int]] = field(default_factory=list)
    fuse: int | None = None

    async def send_all(self, records: Iterable[Record]) -> None:
        for record in records:
            self._burn()
            self.topics[record.topic].append(record)

    async def commit(self, partition: int, positions: Mapping[str, int]) -> None:
        self._burn()
        self.commits.append(dict(positions))

    def compact(self, keep: int) -> None:
        """Keep the newest record of each key among all but the last ``keep``."""
        log = self.topics[STATE]
        cut = max(len(log) - keep, 0)
        newest = {record.key: i for i, record in enumerate(log)}
        self.topics[STATE] = [r for i, r in enumerate(log) if i >= cut or newest[r.key] == i]

    def restore(self) -> Restored:
        fold = StateFold(Keys("join", 0), STATE)
        for offset, record in enumerate(self.topics[STATE]):
            fold.add(offset, record.key, record.value)
        return fold.finish()

    def _burn(self) -> None:
        if self.fuse is not None:
            if self.fuse == 0:
                raise Crash
            self.fuse -= 1
