"""Typed decoders of predictions, made for the configured models.

A decoder that knows the names it wants skips all others without making objects of them, and one
that is told to expect numbers makes the numbers at once and proves that nothing else was there. So
there are two: the strict one, whose numeric features are numbers and nothing else, and the lenient
one, which lets any value of a feature pass to be judged later. Features of all models share one
structure, because the model is known only after decoding.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from struct import Struct
from struct import error as StructError  # noqa: N812  # it is an exception, and looks like one here
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import astuple

from streams.events.batches import BatchError, check_columns, check_length, row_of
from streams.events.columns import Bools, Floats
from streams.events.diagnosis import explain
from streams.events.labels import floats, numbers
from streams.events.reasons import Reason
from streams.events.shape import ModelShape

Number = float
Scalar = str | int | float | bool | None
Items = list[str | int | float]
Score = float | dict[str, float] | None


class _Event(msgspec.Struct, gc=False):
    """The fields that every model's predictions share; ``features`` and ``tags`` follow them.

    Their order is known to whoever takes events apart.
    """

    prediction_id: str
    timestamp: str | int | float
    model: str
    model_version: str | int | float | None = None
    prediction: str | int | float | bool | Items | None = None
    score: Score = None
    latency_ms: float | None = None
    error: bool | None = None
    variant: Scalar = None


class _Columns(msgspec.Struct):
    """The columns that every model's batches share."""

    prediction_id: list[str]
    timestamp: list[str | int | float] | str | int | float
    prediction: list[str | int | float | bool | Items | None] | None = None
    score: list[float | None] | dict[str, list[float | None]] | None = None
    latency_ms: list[float | None] | None = None
    error: list[bool | None] | None = None
    variant: list[Scalar] | None = None


class _Head(msgspec.Struct):
    """What a batch says once for all its rows."""

    model: str
    model_version: str | int | float | None = None


_PER_ROW = ("prediction_id", "timestamp", "prediction", "score", "latency_ms", "error", "variant")


def _structure(
    name: str,
    types: dict[str, Any],
    attributes: dict[str, str],
    numeric: Collection[str] = (),
) -> type[msgspec.Struct]:
    """Define a structure whose fields may have any names; all of them may be absent.

    Absent ``numeric`` fields are NaN, all others None.
    """
    return msgspec.defstruct(
        name,
        [
            (attributes[field], kind, math.nan if field in numeric else None)
            for field, kind in types.items()
        ],
        rename={attributes[field]: field for field in types},
        gc=False,
    )


@dataclass(slots=True, frozen=True)
class Extractor:
    """How one model's features and tags are taken out of decoded events.

    Attributes:
        numeric: attribute of each numeric feature.
        categorical: attribute of each categorical feature.
        tags: attribute of each tag.
        proven: the strict decoder lets only numbers into all of the numeric features.
        fields: where the numeric features stand among the fields of the structure, when they
            stand together and make up most of it.
        alone: there are no other fields.
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    tags: tuple[str, ...]
    proven: bool
    fields: slice | None
    alone: bool

    def matrix(self, features: Sequence[Any], *, strict: bool) -> tuple[Floats, Bools | None]:
        """Collect the numeric features of events, (n, F), and the mask of wrong types."""
        rows, width = len(features), len(self.numeric)
        if not width:
            return np.zeros((rows, 0)), None
        if not (strict and self.proven):
            return _assemble([list(map(attrgetter(name), features)) for name in self.numeric], rows)
        picked = list(self._tuples(features))
        try:
            # Packing whole rows takes 0.2 us for 20 features; feeding their values to numpy one
            # after the other takes 1.1 us.
            pack = Struct(f"={width}d").pack
            packed = bytearray().join([pack(*values) for values in picked])
        except StructError:  # an explicit null, which numpy reads as NaN
            flat = chain.from_iterable(picked)
            return np.fromiter(flat, np.float64, count=rows * width).reshape(rows, width), None
        return np.frombuffer(packed, np.float64).reshape(rows, width), None

    def _tuples(self, features: Sequence[Any]) -> Iterable[tuple[float | None, ...]]:
        if self.fields is not None:
            tuples = map(astuple, features)
            if self.alone:
                return tuples
            fields = self.fields
            return (values[fields] for values in tuples)
        if len(self.numeric) == 1:
            return ((value,) for value in map(attrgetter(*self.numeric), features))
        return map(attrgetter(*self.numeric), features)

    def batch_matrix(self, features: Any, rows: int) -> tuple[Floats, Bools | None]:
        """Collect the numeric features of a batch, (n, F), and the mask of wrong types."""
        columns = [getattr(features, name) for name in self.numeric]
        if not self.proven:
            return _assemble(columns, rows)
        matrix = np.full((rows, len(columns)), np.nan)
        for i, column in enumerate(columns):
            if column is not None:
                matrix[:, i] = floats(column)
        return matrix, None


def _assemble(columns: list[list[Any] | None], rows: int) -> tuple[Floats, Bools | None]:
    matrix = np.full((rows, len(columns)), np.nan)
    bad: Bools | None = None
    for i, column in enumerate(columns):
        if column is None:
            continue
        matrix[:, i], wrong = numbers(column)
        if wrong is not None:
            bad = np.zeros(matrix.shape, dtype=np.bool_) if bad is None else bad
            bad[:, i] = wrong
    return matrix, bad


class PredictionCodec:
    """Decoders for the predictions of a set of models."""

    def __init__(self, shapes: Iterable[ModelShape]) -> None:
        shapes = list(shapes)
        numeric = set(chain.from_iterable(shape.numeric for shape in shapes))
        categorical = set(chain.from_iterable(shape.categorical for shape in shapes))
        tags = set(chain.from_iterable(shape.tags for shape in shapes))
        self._numeric_only = numeric - categorical
        # Each model's numeric features stand together as far as models do not share them.
        names = list(
            dict.fromkeys(
                chain(
                    *(shape.numeric for shape in shapes), *(shape.categorical for shape in shapes)
                )
            )
        )
        self._features = {name: f"f{i}" for i, name in enumerate(names)}
        self._tags = {name: f"t{i}" for i, name in enumerate(sorted(tags))}

        def kind(name: str, lenient: Any) -> Any:
            return float | None if name in self._numeric_only else lenient

        tag_type = _structure("Tags", dict.fromkeys(self._tags, Any), self._tags)
        usual = _structure(
            "Features",
            {name: kind(name, Scalar) for name in names},
            self._features,
            self._numeric_only,
        )
        odd = _structure("OddFeatures", dict.fromkeys(names, Any), self._features)
        column_type = _structure(
            "FeatureColumns",
            {name: list[kind(name, Scalar)] | None for name in names},  # type: ignore[misc]  # a type made at run time
            self._features,
        )
        tag_columns = _structure(
            "TagColumns", dict.fromkeys(self._tags, list[Any] | None), self._tags
        )
        self._event = _with_parts("Prediction", _Event, usual, tag_type)
        self._odd = _with_parts("OddPrediction", _Event, odd, tag_type)
        self._columns = _with_parts("Columns", _Columns, column_type, tag_columns)
        batch = msgspec.defstruct(
            "Batch", [("columns", self._columns)], bases=(_Head,), kw_only=True
        )
        self.no_features = usual()
        self.no_tags = tag_type()
        self._no_feature_columns = column_type()
        self._no_tag_columns = tag_columns()
        self.strict: Callable[[bytes], Any] = msgspec.json.Decoder(self._event).decode
        self.lenient: Callable[[bytes], Any] = msgspec.json.Decoder(self._odd).decode
        self.batch: Callable[[bytes], Any] = msgspec.json.Decoder(batch).decode

    def extractor(self, shape: ModelShape) -> Extractor:
        """Plan how a model's columns are taken out of the shared structures."""
        return Extractor(
            tuple(self._features[name] for name in shape.numeric),
            tuple(self._features[name] for name in shape.categorical),
            tuple(self._tags[name] for name in shape.tags),
            proven=self._numeric_only.issuperset(shape.numeric),
            fields=self._together(shape.numeric),
            alone=len(shape.numeric) == len(self._features),
        )

    def _together(self, names: tuple[str, ...]) -> slice | None:
        places = list(self._features)
        start = places.index(names[0]) if names else 0
        stop = start + len(names)
        whole = tuple(places[start:stop]) == names and 2 * len(names) >= len(places)
        return slice(start, stop) if whole else None

    def rows_in(self, batch: Any) -> int:
        """Count the rows of a batch and complete it with empty parts.

        Raises:
            BatchError: columns are of different lengths.
        """
        columns = batch.columns
        rows = len(columns.prediction_id)
        columns.features = columns.features or self._no_feature_columns
        columns.tags = columns.tags or self._no_tag_columns
        for name in _PER_ROW:
            check_length(name, getattr(columns, name), rows)
        for part, names in (("features", self._features), ("tags", self._tags)):
            held = getattr(columns, part)
            for name, attribute in names.items():
                check_length(f"{part}.{name}", getattr(held, attribute), rows)
        return rows

    def split(self, document: Any) -> Iterator[dict[str, Any]]:
        """Cut a parsed batch into single events.

        Raises:
            BatchError: it has no model, or its columns do not fit together.
        """
        try:
            msgspec.convert(document, _Head)
        except msgspec.ValidationError as error:
            raise BatchError(*explain(error)) from error
        shared = {"model": document["model"], "model_version": document.get("model_version")}
        columns = document["columns"]
        rows = check_columns(columns, _PER_ROW)
        parts = {}
        for part, names in (("features", self._features), ("tags", self._tags)):
            group = columns.get(part)
            if group is not None and not isinstance(group, dict):
                raise BatchError(Reason.BAD_BATCH, f"columns.{part}: expected object")
            parts[part] = {name: (group or {}).get(name) for name in names}
            for name, column in parts[part].items():
                if column is not None and not isinstance(column, list):
                    raise BatchError(Reason.BAD_BATCH, f"columns.{part}.{name}: expected array")
                check_length(f"{part}.{name}", column, rows)
        held = {name: columns.get(name) for name in _PER_ROW}
        return (row_of(held, parts, i) | shared for i in range(rows))

    def convert(self, event: dict[str, Any]) -> Any:
        """Make a lenient event of a dictionary."""
        return msgspec.convert(event, self._odd)


def _with_parts(
    name: str,
    base: type[msgspec.Struct],
    features: type[msgspec.Struct],
    tags: type[msgspec.Struct],
) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        name,
        [("features", features | None, None), ("tags", tags | None, None)],
        bases=(base,),
        gc=False,
    )
