"""Limits that a number may pass, and how far back it must come."""

from dataclasses import dataclass
from typing import Literal

from streams.core.alerts.words import apart


@dataclass(slots=True, frozen=True)
class Limit:
    """One side of the allowed range.

    Attributes:
        side: "above" or "below": where breaches lie.
        bound: a value beyond this breaches.
        clear: a value must be beyond this, on the good side, to be clear (hysteresis); None means
            that a value which does not breach is clear.
        note: where the limit comes from, for the sentence; empty when it was given.
    """

    side: Literal["above", "below"]
    bound: float
    clear: float | None = None
    note: str = ""

    def breached(self, value: float) -> bool:
        """Tell whether a value is beyond the limit."""
        return value > self.bound if self.side == "above" else value < self.bound

    def cleared(self, value: float) -> bool:
        """Tell whether a value is good enough to resolve on."""
        if self.clear is None:
            return not self.breached(value)
        return value < self.clear if self.side == "above" else value > self.clear

    def sentence(self, value: float, unit: str = "") -> tuple[str, str]:
        """Write the value and how it stands to the limit, such as "is below 0.80".

        Args:
            value: the value.
            unit: unit of both, written after them.
        """
        written, bound = apart(value, self.bound)
        note = f", {self.note}" if self.note else ""
        if self.breached(value):
            return f"{written}{unit}", f"is {self.side} {bound}{unit}{note}"
        if self.clear is None:
            return f"{written}{unit}", f"is no longer {self.side} {bound}{unit}{note}"
        written, clear = apart(value, self.clear)
        if self.cleared(value):
            back = "below" if self.side == "above" else "above"
            return f"{written}{unit}", f"is back {back} {clear}{unit}"
        return f"{written}{unit}", f"is between {clear}{unit} and {bound}{unit}"
