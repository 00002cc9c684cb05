"""Sequential detectors of one model, fed with per-item series in canonical order."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detectors import registry
from detectors.base import DriftDetector
from streams.config.model import DetectorConfig
from streams.core.monitor.events import DriftDetected
from streams.core.partials import FloatArray
from streams.payloads import DriftEvent, join_id, rfc3339


class Sentinels:
    """The configured detectors of one model.

    Args:
        model: the model's name.
        configs: its detectors.

    Raises:
        ValueError: a detector or one of its parameters does not exist.
    """

    def __init__(self, model: str, configs: Sequence[DetectorConfig]) -> None:
        self._model = model
        self._watching = [(c, registry.build(c.kind, **c.params)) for c in configs]
        self._read = [0 for _ in configs]
        self.refused = 0
        """Runs that a detector cannot take, such as numbers outside [0, 1] for an error rate."""

    def feed(self, runs: Mapping[str, Sequence[FloatArray]], moment: int) -> list[DriftDetected]:
        """Feed the runs of one tick; returns the alarms in order.

        Args:
            runs: by series name, the runs of all sources in canonical order.
            moment: event time, ms.
        """
        found: list[DriftDetected] = []
        for index, (config, detector) in enumerate(self._watching):
            parts = runs.get(config.on)
            if not parts:
                continue
            run = np.concatenate(parts)
            before, raised = detector.estimation, detector.n_detections
            try:
                alarms = detector.update_many(run)
            except ValueError:
                self.refused += 1
                continue
            for number, alarm in enumerate(alarms.tolist(), start=raised + 1):
                read = self._read[index] + alarm + 1
                found.append(self._alarm(config, moment, read, number, before, run))
            self._read[index] += len(run)
        return found

    def _alarm(
        self,
        config: DetectorConfig,
        moment: int,
        read: int,
        number: int,
        before: float | None,
        run: FloatArray,
    ) -> DriftDetected:
        payload = DriftEvent(
            id=join_id([self._model, config.name, str(moment), str(number)]),
            model=self._model,
            detector=config.name,
            kind=config.kind,
            on=config.on,
            at=rfc3339(moment),
            severity=config.severity,
            n=read,
            alarms=number,
            estimation_before=before,
            estimation_after=float(run.mean()),
        )
        return DriftDetected(payload, config, moment)

    def snapshot(self) -> list[dict[str, Any]]:
        """Plain containers."""
        return [
            {"name": config.name, "on": config.on, "read": read, "detector": detector.snapshot()}
            for (config, detector), read in zip(self._watching, self._read, strict=True)
        ]

    def restore(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Take the state that :meth:`snapshot` gave; a detector configured otherwise starts new."""
        known = {(entry["name"], entry["on"]): entry for entry in state}
        for index, (config, fresh) in enumerate(self._watching):
            entry = known.get((config.name, config.on))
            if entry is None:
                continue
            detector: DriftDetector = registry.restore(entry["detector"])
            if (detector.kind, detector.parameters) == (fresh.kind, fresh.parameters):
                self._watching[index] = (config, detector)
                self._read[index] = entry["read"]
