"""What the wrapped sketches share: bytes as text and clear errors for damaged bytes."""

import base64
import binascii
from abc import ABC, abstractmethod
from typing import Self


class ByteSketch(ABC):
    """A sketch that travels as bytes, in the portable format of Apache DataSketches."""

    @abstractmethod
    def to_bytes(self) -> bytes:
        """Return the sketch in the format that all DataSketches libraries read."""

    @classmethod
    @abstractmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Make the sketch that `to_bytes` described.

        Raises:
            ValueError: If the bytes are not such a sketch.
        """

    def to_base64(self) -> str:
        """Return the sketch as text, for formats that have no bytes."""
        return base64.b64encode(self.to_bytes()).decode("ascii")

    @classmethod
    def from_base64(cls, text: str) -> Self:
        """Make the sketch that `to_base64` described.

        Raises:
            ValueError: If the text is not base64, or its bytes are not such a sketch.
        """
        try:
            data = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise ValueError(f"the sketch is not base64: {error}") from error
        return cls.from_bytes(data)
