"""What the join sends to the monitors: bundles, numbered and of bearable size."""

from streams.core.partials import Bundle, ModelNews, TickNews, TickPacker
from streams.events.partitioner import partition_for
from streams.wire import Output

__all__ = ["Bundler", "TickNews"]

LARGEST_BUNDLE = 700_000
"""Bundles are cut below this many bytes, so that a record fits Kafka's default limits."""
_HEAD = 2_000
"""Room for what stands around the ticks."""


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
        self._monitor_of: dict[str, int] = {}
        self.sequence = 0
        """Number of the last bundle."""

    def pack(self, ticks: list[TickNews], frontier: int, books: dict[str, int]) -> list[Output]:
        """Make the records for the partials topic.

        Args:
            ticks: news, ticks ascending.
            frontier: first tick that is not complete.
            books: the balances as of the frontier.
        """
        cuts = [self._cut(part, frontier) for part in self._by_monitor(ticks)]
        # Every monitor sees every sequence number, so that a gap means a loss.
        longest = max(map(len, cuts))
        outputs = []
        for monitor, sent in enumerate(cuts):
            sent += [(TickPacker(), frontier) for _ in range(longest - len(sent))]
            for number, (packer, until) in enumerate(sent, self.sequence + 1):
                head = Bundle(
                    self._partition, self._partitions, number, until, self._tick_ms, [], books
                )
                identity = f"partials-{self._partition}-{monitor}-{number}"
                outputs.append(
                    Output(
                        "partials",
                        str(self._partition).encode(),
                        packer.encode(head),
                        (("driftline.id", identity.encode()),),
                        monitor,
                    )
                )
        self.sequence += longest
        return outputs

    def _by_monitor(self, ticks: list[TickNews]) -> list[list[TickNews]]:
        if self._monitors == 1:
            return [ticks]
        parts: list[list[TickNews]] = [[] for _ in range(self._monitors)]
        for tick, models in ticks:
            split: dict[int, dict[str, ModelNews]] = {}
            for name, news in models.items():
                split.setdefault(self._monitor(name), {})[name] = news
            for monitor, mine in split.items():
                parts[monitor].append((tick, mine))
        return parts

    def _monitor(self, model: str) -> int:
        if model not in self._monitor_of:
            self._monitor_of[model] = partition_for(model.encode(), self._monitors)
        return self._monitor_of[model]

    def _cut(self, ticks: list[TickNews], frontier: int) -> list[tuple[TickPacker, int]]:
        """Pack ticks in as few bundles as they need; with each, its first incomplete tick."""
        found: list[tuple[TickPacker, int]] = []
        packer = TickPacker()
        for tick, models in ticks:
            packer.add(tick, models)
            if len(packer) > 1 and packer.size + _HEAD > LARGEST_BUNDLE:
                packer.take_back()
                found.append((packer, tick))
                packer = TickPacker()
                packer.add(tick, models)
        return [*found, (packer, frontier)]
