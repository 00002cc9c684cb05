"""Which class a prediction is about, from the event's own word and its score."""

import numpy as np

from streams.events.columns import MISSING, Bools, Codes, Floats
from streams.events.shape import ModelShape

ROUNDING = 1e-6
"""How far a probability may miss [0, 1] by rounding."""


def decide(shape: ModelShape, codes: Codes, score: Floats | None) -> tuple[Floats, Bools]:
    """Decide the predicted class of each row; see ``ModelShape.threshold``.

    Args:
        shape: a model with classes.
        codes: class that the event names, negative where it names none.
        score: as in ``PredictionBlock``.

    Returns:
        Index of the class, NaN where there is none, and where nothing tells it.
    """
    found = np.where(codes >= 0, codes, np.nan)
    absent = codes == MISSING
    if score is None:
        return found, absent
    if shape.task == "multiclass":
        scored = ~np.isnan(score).any(axis=1)
        decided = np.argmax(np.where(np.isnan(score), 0.0, score), axis=1)
        use = absent & scored
    else:
        scored = ~np.isnan(score)
        limit = 0.5 if shape.threshold is None else shape.threshold
        decided = np.where(score >= limit, shape.positive, 1 - shape.positive)
        use = scored if shape.threshold is not None else absent & scored
    return np.where(use, decided, found), absent & ~scored
