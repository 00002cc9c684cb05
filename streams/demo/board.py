"""What the demo's view shows: the latest of everything that came, without a word on how."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.config.settings import LoadedModel, Settings
from streams.demo.figures import Figures
from streams.demo.summary import detection
from streams.payloads import Alert, MetricValue, Payload, Window

WHOLE = "*"
_RATE_SECONDS = 5.0
_HISTORY = 24


@dataclass(slots=True)
class ModelBoard:
    """One model.

    Attributes:
        model: its configuration and reference.
        metrics: metrics that are shown, the first one with its history.
        quality: latest metrics by time of truth, all versions together.
        coverage: share of predictions whose truth is known, in the latest large window.
        rate: predictions per second in the latest small window.
        latency: 99th percentile in ms.
        drift: latest PSI by feature.
        history: values of the first metric, oldest first.
        versions: latest value of the first metric by version.
    """

    model: LoadedModel
    metrics: tuple[str, ...]
    quality: dict[str, MetricValue] = field(default_factory=dict)
    coverage: float | None = None
    rate: float | None = None
    latency: float | None = None
    drift: dict[str, float] = field(default_factory=dict)
    history: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    versions: dict[str, MetricValue] = field(default_factory=dict)
    _newest: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.config.model

    def take(self, window: Window) -> None:
        """Take a window of this model; older ones than those shown change nothing."""
        sizes = [w.size / 1000 for w in self.model.windows]
        small, large = window.size_s == min(sizes), window.size_s == max(sizes)
        if window.segment != WHOLE:
            return
        whole = window.model_version == WHOLE
        if window.view == "label_time" and small and self._is_newer("quality", window):
            first = window.metrics.get(self.metrics[0])
            if whole:
                self.quality = window.metrics
                if first is not None:
                    self.history.append(first.value)
            elif first is not None:
                self.versions[window.model_version] = first
        if window.view == "prediction_time" and whole:
            if small and self._is_newer("traffic", window):
                self._take_traffic(window)
            if large and self._is_newer("coverage", window):
                self.coverage = window.label_coverage

    def _take_traffic(self, window: Window) -> None:
        rate = window.operation.get("predictions_per_second")
        latency = window.operation.get("latency_p99")
        self.rate = None if rate is None else rate.value
        self.latency = None if latency is None else latency.value
        self.drift = {
            column.removeprefix("feature:"): distances["psi"].value
            for column, distances in (window.drift or {}).items()
            if column.startswith("feature:") and "psi" in distances
        }

    def _is_newer(self, kind: str, window: Window) -> bool:
        key = f"{kind} {window.model_version}"
        if window.start <= self._newest.get(key, ""):
            return False
        self._newest[key] = window.start
        return True


@dataclass(slots=True)
class Board:
    """Everything that is shown.

    Attributes:
        settings: what the worker runs.
        port: where its metrics are.
        config: its configuration file, for commands that the view names.
        models: boards by model, in order of showing.
        phase: what is going on, in words.
        started_at: when traffic began, seconds since the epoch.
        now: the present, likewise.
        seconds: length of the run; None when it is open-ended.
        drift_at: when the world changes; seconds since the epoch.
        figures: what the worker last said of itself.
        alerts: everything that was said about alerts, oldest first.
        rates: predictions and truths that the worker takes per second.
    """

    settings: Settings
    port: int
    config: str
    models: dict[str, ModelBoard]
    phase: str = ""
    started_at: float = 0.0
    now: float = 0.0
    seconds: float | None = None
    drift_at: float = float("inf")
    figures: Figures = field(default_factory=Figures)
    alerts: list[Alert] = field(default_factory=list)
    rates: tuple[float, float] = (0.0, 0.0)
    _known: set[str] = field(default_factory=set)
    _counts: deque[tuple[float, int, int]] = field(default_factory=deque)

    def take(self, payloads: Iterable[Payload]) -> list[Alert]:
        """Take what was published; returns the alerts that are news."""
        news = []
        for payload in payloads:
            if isinstance(payload, Window):
                board = self.models.get(payload.model)
                if board is not None:
                    board.take(payload)
            elif isinstance(payload, Alert) and payload.id not in self._known:
                self._known.add(payload.id)
                self.alerts.append(payload)
                news.append(payload)
        return news

    def take_figures(self, figures: Figures, now: float) -> None:
        """Take what the worker says of itself."""
        self.figures = figures
        counts = (now, figures.predictions.get("in", 0), figures.feedback.get("in", 0))
        self._counts.append(counts)
        while now - self._counts[0][0] > _RATE_SECONDS:
            self._counts.popleft()
        then, *before = self._counts[0]
        if now > then:
            predictions, feedback = (
                (new - old) / (now - then) for new, old in zip(counts[1:], before, strict=True)
            )
            self.rates = (predictions, feedback)

    @property
    def bootstrap_servers(self) -> str:
        """Address of the broker."""
        return self.settings.pipeline.kafka.bootstrap_servers

    @property
    def elapsed(self) -> float:
        """Seconds since traffic began."""
        return max(0.0, self.now - self.started_at) if self.started_at else 0.0

    @property
    def drifted(self) -> bool:
        """Whether the world has changed."""
        return self.now >= self.drift_at

    @property
    def found(self) -> Alert | None:
        """The alert that found the drift."""
        return detection(self.alerts, self.drift_at)

    @property
    def open_alerts(self) -> int:
        """How many alerts are open now."""
        latest = {alert.fingerprint: alert.status for alert in self.alerts}
        return sum(status != "resolved" for status in latest.values())
