"""Quality of one ranking against the gains of its items.

NDCG after Järvelin and Kekäläinen (2002) with linear gains and log2 discount, as scikit-learn's
``ndcg_score``; average precision at k divides by min(k, relevant items).
"""

import math
from collections.abc import Mapping, Sequence


def ranking_scores(
    ranked: Sequence[str], gains: Mapping[str, float], top_k: Sequence[int]
) -> list[float]:
    """Reciprocal rank, then NDCG, hit and average precision for each cut-off.

    Args:
        ranked: items, best first.
        gains: gain above 0 of each relevant item; items that are absent gain nothing.
        top_k: cut-offs.

    >>> ranking_scores(["a", "b", "c"], {"b": 1.0}, [1, 2])
    [0.5, 0.0, 0.0, 0.0, 0.6309297535714575, 1.0, 0.5]
    """
    if not gains:
        return [0.0] * (1 + 3 * len(top_k))
    found = [gains.get(item, 0.0) for item in ranked]
    first = next((rank for rank, gain in enumerate(found, 1) if gain > 0), None)
    ideal = sorted(gains.values(), reverse=True)
    scores = [0.0 if first is None else 1.0 / first]
    for k in top_k:
        best = sum(gain / math.log2(rank + 1) for rank, gain in enumerate(ideal[:k], 1))
        got = sum(gain / math.log2(rank + 1) for rank, gain in enumerate(found[:k], 1))
        hits = 0
        precision = 0.0
        for rank, gain in enumerate(found[:k], 1):
            if gain > 0:
                hits += 1
                precision += hits / rank
        scores += [got / best, float(hits > 0), precision / min(k, len(gains))]
    return scores
