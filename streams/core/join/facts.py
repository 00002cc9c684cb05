"""Facts that feedback establishes in one tick, column by column, before they are reduced."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(slots=True)
class LabelFacts:
    """Predictions and their truth.

    A corrected label makes two facts: the old one taken back (sign -1) and the new one.

    Attributes:
        ts: event time of the prediction, ms.
        group: group of the prediction.
        sign: +1 or -1.
        first: the first truth of its prediction.
        weight: weight of the label.
        predicted: class index or number; NaN for none.
        score: scores, or None for tasks without.
        actual: class index or number; NaN for rankings.
        ranking: (n, 1 + 3 * cut-offs) scores of rankings, or None.
        delay: seconds from the prediction to its label.
    """

    ts: Ints
    group: NDArray[np.int32]
    sign: Floats
    first: NDArray[np.bool_]
    weight: Floats
    predicted: Floats
    score: Floats | None
    actual: Floats
    ranking: Floats | None
    delay: Floats

    def __len__(self) -> int:
        """Count the facts."""
        return len(self.ts)

    @staticmethod
    def concat(parts: "list[LabelFacts]") -> "LabelFacts":
        """Append facts of one model."""
        if len(parts) == 1:
            return parts[0]
        scores = [part.score for part in parts if part.score is not None]
        rankings = [part.ranking for part in parts if part.ranking is not None]
        return LabelFacts(
            ts=np.concatenate([p.ts for p in parts]),
            group=np.concatenate([p.group for p in parts]),
            sign=np.concatenate([p.sign for p in parts]),
            first=np.concatenate([p.first for p in parts]),
            weight=np.concatenate([p.weight for p in parts]),
            predicted=np.concatenate([p.predicted for p in parts]),
            score=np.concatenate(scores) if scores else None,
            actual=np.concatenate([p.actual for p in parts]),
            ranking=np.concatenate(rankings) if rankings else None,
            delay=np.concatenate([p.delay for p in parts]),
        )


@dataclass(slots=True)
class OutcomeFacts:
    """Events that followed predictions.

    Attributes:
        ts: event time of the prediction, ms.
        group: group of the prediction.
        outcome: index of the outcome.
        first: first event of this outcome for its prediction.
        first_any: first event of any outcome for its prediction.
        value: value of the event, 0 for none.
    """

    ts: Ints
    group: NDArray[np.int32]
    outcome: Ints
    first: NDArray[np.bool_]
    first_any: NDArray[np.bool_]
    value: Floats

    def __len__(self) -> int:
        """Count the facts."""
        return len(self.ts)


@dataclass(slots=True)
class ModelFacts:
    """All facts about one model in one tick.

    ``conflicts`` holds (ts, group) of predictions whose truth was contradicted without effect.
    """

    labels: list[LabelFacts] = field(default_factory=list)
    outcomes: list[OutcomeFacts] = field(default_factory=list)
    conflicts: list[tuple[Ints, NDArray[np.int32]]] = field(default_factory=list)
    last_label: int = -1
