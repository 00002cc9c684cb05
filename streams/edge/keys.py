"""Names of the records in a state topic.

A state record's key is ``<stage>/<partition>/<name>``; the second and further parts of a large
value are ``<stage>/<partition>/<name>/~1`` and so on. The newest finished checkpoint has its marker
under ``<stage>/<partition>/marker`` and its outputs under ``<stage>/<partition>/outbox/<epoch>``.
"""

from dataclasses import dataclass

MARKER = "marker"
OUTBOX = "outbox/"
_PART = "/~"


def check_name(name: str) -> None:
    """Refuse names that would be mistaken for the edge's own records.

    Raises:
        ValueError: the name is reserved.
    """
    if not name or name == MARKER or name.startswith(OUTBOX) or _PART in name:
        raise ValueError(f"{name!r} is not a name that a processor may give to a piece of state")


@dataclass(slots=True, frozen=True)
class Keys:
    """Keys of one partition of one stage."""

    stage: str
    partition: int

    @property
    def prefix(self) -> str:
        """Return what every key starts with."""
        return f"{self.stage}/{self.partition}/"

    def parts(self, name: str, count: int) -> list[bytes]:
        """Return the keys of the parts of a value."""
        first = f"{self.prefix}{name}"
        return [f"{first}{_PART}{i}".encode() if i else first.encode() for i in range(count)]

    def parse(self, key: bytes) -> tuple[str, int]:
        """Split a key into name and part.

        Raises:
            ValueError: it is not a key of this partition of this stage.
        """
        text = key.decode("utf-8")
        if not text.startswith(self.prefix):
            raise ValueError(f"it should start with {self.prefix!r}")
        name, mark, part = text.removeprefix(self.prefix).partition(_PART)
        if not name or (mark and not part.isdecimal()):
            raise ValueError("it is not <stage>/<partition>/<name>")
        return name, int(part) if mark else 0
