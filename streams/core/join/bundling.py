"""What the join sends to the monitors: bundles, numbered and of bearable size."""

from streams.core.partials import Bundle, ModelNews
from streams.events.partitioner import partition_for
from streams.wire import Output

TickNews = tuple[int, dict[str, ModelNews]]
"""A tick and what was learnt in it, by model."""

LARGEST_BUNDLE = 700_000
"""Bundles are cut below this many bytes, so that a record fits Kafka's default limits."""


class Bundler:
    """Packs news for all monitor partitions.

    Args:
        partition: the join's partition.
        partitions: number of join partitions.
        monitors: number of monitor partitions.
        tick_ms: length of a tick.
    """

    def __init__(self, partition: int, partitions: int, monitors: int, tick_ms: int) -> None:
        self._partition = partition
        self._partitions = partitions
        self._monitors = monitors
        self._tick_ms = tick_ms
        self.sequence = 0
        """Number of the last bundle."""

    def pack(self, ticks: list[TickNews], frontier: int, books: dict[str, int]) -> list[Output]:
        """Make the records for the partials topic.

        Args:
            ticks: news, ticks ascending.
            frontier: first tick that is not complete.
            books: the balances as of the frontier.
        """
        parts: list[list[TickNews]] = [[] for _ in range(self._monitors)]
        for tick, models in ticks:
            split: dict[int, dict[str, ModelNews]] = {}
            for name, news in models.items():
                split.setdefault(partition_for(name.encode(), self._monitors), {})[name] = news
            for monitor, mine in split.items():
                parts[monitor].append((tick, mine))
        bundles = [self._cut(part, frontier) for part in parts]
        # Every monitor sees every sequence number, so that a gap means a loss.
        longest = max(map(len, bundles))
        outputs = []
        for monitor, sent in enumerate(bundles):
            sent += [self._bundle([], frontier) for _ in range(longest - len(sent))]
            for number, bundle in enumerate(sent, self.sequence + 1):
                bundle.sequence = number
                bundle.books = books
                identity = f"partials-{self._partition}-{monitor}-{number}"
                outputs.append(
                    Output(
                        "partials",
                        str(self._partition).encode(),
                        bundle.encode(),
                        (("driftline.id", identity.encode()),),
                        monitor,
                    )
                )
        self.sequence += longest
        return outputs

    def _bundle(self, ticks: list[TickNews], frontier: int) -> Bundle:
        return Bundle(self._partition, self._partitions, 0, frontier, self._tick_ms, ticks)

    def _cut(self, ticks: list[TickNews], frontier: int) -> list[Bundle]:
        bundle = self._bundle(ticks, frontier)
        if len(ticks) <= 1 or len(bundle.encode()) <= LARGEST_BUNDLE:
            return [bundle]
        middle = len(ticks) // 2
        first, second = ticks[:middle], ticks[middle:]
        return [*self._cut(first, second[0][0]), *self._cut(second, frontier)]
