"""The join's books: every row that came in is in exactly one place."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields


@dataclass(slots=True)
class Books:
    """Rows by what became of them; counted over the life of a partition's state.

    Predictions are joined once any feedback met them, and waiting until then or until their horizon
    passes. Feedback is joined when it is the first truth of a prediction or a new outcome.
    """

    predictions_in: int = 0
    predictions_joined: int = 0
    predictions_waiting: int = 0
    predictions_expired: int = 0
    predictions_duplicate: int = 0
    predictions_quarantined: int = 0
    feedback_in: int = 0
    feedback_joined: int = 0
    feedback_waiting: int = 0
    feedback_duplicate: int = 0
    feedback_corrected: int = 0
    feedback_conflict: int = 0
    feedback_late: int = 0
    feedback_orphan: int = 0
    feedback_quarantined: int = 0

    def difference(self) -> tuple[int, int]:
        """Rows in minus rows accounted for: predictions, feedback; (0, 0) when in balance."""
        values: dict[str, int] = asdict(self)

        def balance(side: str) -> int:
            mine = {k: v for k, v in values.items() if k.startswith(side)}
            return 2 * mine[f"{side}_in"] - sum(mine.values())

        return balance("predictions"), balance("feedback")

    def snapshot(self) -> dict[str, int]:
        """All counts by name."""
        return asdict(self)

    @classmethod
    def restore(cls, counts: Mapping[str, int]) -> "Books":
        """Rebuild from :meth:`snapshot`; names that are not known are passed over."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: count for name, count in counts.items() if name in known})
