"""The reference profile as it is stored: JSON, a few kilobytes, no row of the original data."""

from pathlib import Path
from typing import Self

import msgspec

PROFILE_VERSION = 1


class ProfileError(ValueError):
    """A profile file cannot be used; the message names the file and the key."""


class NumericReference(msgspec.Struct, frozen=True, tag="numeric", tag_field="kind", kw_only=True):
    """A numeric column of the reference.

    Attributes:
        n: values present.
        missing: values missing.
        mean: mean of the values present.
        variance: their variance (divided by n).
        minimum: smallest value.
        maximum: largest value.
        edges: interior bin edges, strictly ascending: quantiles of the values.
        counts: values per bin; one more than edges.
        sketch: KLL sketch of the values, base64; empty where none was kept.
    """

    n: int
    missing: int
    mean: float
    variance: float
    minimum: float
    maximum: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    sketch: str = ""


class CategoricalReference(
    msgspec.Struct, frozen=True, tag="categorical", tag_field="kind", kw_only=True
):
    """A categorical column of the reference.

    Attributes:
        n: values present.
        missing: values missing.
        categories: canonical strings, most frequent first (classes: in configured order).
        counts: rows per category.
        other: rows of categories that are not listed.
        distinct: estimated number of distinct values.
        sketch: HyperLogLog sketch, base64; empty where none was kept.
    """

    n: int
    missing: int
    categories: tuple[str, ...]
    counts: tuple[int, ...]
    other: int = 0
    distinct: float = 0.0
    sketch: str = ""


ColumnReference = NumericReference | CategoricalReference


class ReferenceProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known about a model's reference data.

    Attributes:
        version: version of this format.
        model: the model's name.
        created: RFC 3339 time of building.
        rows: rows read.
        source: what it was built from, for people.
        features: by feature name.
        prediction: predicted classes or numbers.
        score: binary: P(positive), 256 quantile bins.
        label: the truth, where the reference data has it.
        metrics: the model's own quality on the reference, by metric name.
    """

    version: int
    model: str
    created: str
    rows: int
    source: str = ""
    features: dict[str, ColumnReference] = {}
    prediction: ColumnReference | None = None
    score: NumericReference | None = None
    label: ColumnReference | None = None
    metrics: dict[str, float] = {}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a profile; raises ProfileError that names the file and what is wrong with it."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ProfileError(f"{path}: cannot read the reference profile: {error}") from error
        try:
            profile = msgspec.json.decode(data, type=cls)
        except msgspec.DecodeError as error:
            raise ProfileError(f"{path}: not a reference profile: {error}") from error
        if profile.version != PROFILE_VERSION:
            raise ProfileError(
                f"{path}: profile version {profile.version}; this release reads "
                f"{PROFILE_VERSION}: build it again with 'driftline profile'"
            )
        return profile

    def write(self, path: Path) -> None:
        """Write the profile as indented JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
