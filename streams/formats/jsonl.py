"""Files with one event per line; reading them needs no more than a base install."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from streams.formats.errors import FormatError
from streams.formats.mapping import Kind
from streams.formats.times import to_ms, to_wire
from streams.publish.encode import InvalidEventError, check_id


def read_lines(path: Path) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """Yield number, bytes without the line break, and object of each line that is not blank.

    Raises:
        FormatError: when a line is no JSON object.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            stripped = line.strip()
            if not stripped:
                continue
            try:
                event = orjson.loads(stripped)
            except orjson.JSONDecodeError as failure:
                raise FormatError(path, f"no JSON: {failure.msg}", row=number) from None
            if not isinstance(event, dict):
                raise FormatError(path, "no JSON object", row=number)
            yield number, stripped, event


def read_events(
    path: Path, kind: Kind, defaults: dict[str, Any]
) -> Iterator[tuple[int, str, int, bytes, dict[str, Any]]]:
    """Yield line number, id, ms since the epoch, JSON and object of each event.

    A line that lacks nothing keeps its bytes.

    Args:
        path: the file.
        kind: what the events are.
        defaults: values of ``model``, ``model_version`` and ``timestamp`` (ms) for lines without.

    Raises:
        FormatError: when a line is no event.
    """
    needed = ["timestamp", "model", "model_version"] if kind == "predictions" else ["timestamp"]
    for number, line, read in read_lines(path):
        if "columns" in read:
            raise FormatError(path, "a batch; files hold single events", row=number)
        missing: dict[str, Any] = {}
        if read.get("prediction_id") is None:
            missing["prediction_id"] = f"row-{number}"
        for field in needed:
            if read.get(field) is None:
                if defaults.get(field) is None:
                    raise FormatError(path, "the field is missing", row=number, column=field)
                value = defaults[field]
                missing[field] = to_wire(value) if field == "timestamp" else value
        event = {**read, **missing}
        encoded = orjson.dumps(event) if missing else line
        try:
            check_id(event["prediction_id"])
        except InvalidEventError as failure:
            raise FormatError(path, str(failure), row=number) from None
        try:
            time = to_ms(event["timestamp"])
        except ValueError:
            raise FormatError(
                path, "the value is no point in time", row=number, column="timestamp"
            ) from None
        yield number, event["prediction_id"], time, encoded, event
