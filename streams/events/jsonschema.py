"""JSON Schemas of everything that travels on the public topics, made from the structures.

python -m streams.events.jsonschema docs/schemas
"""

import inspect
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from streams.events import schema
from streams.payloads import Alert, DriftEvent, Unmatched, Window

#: File names of the schemas, and the structures that they describe.
DOCUMENTS: dict[str, type[msgspec.Struct]] = {
    "prediction": schema.Prediction,
    "prediction-batch": schema.PredictionBatch,
    "feedback": schema.Feedback,
    "feedback-batch": schema.FeedbackBatch,
    "window": Window,
    "drift": DriftEvent,
    "alert": Alert,
    "unmatched": Unmatched,
}

#: What the types of fields cannot say.
_CONDITIONS: dict[str, dict[str, Any]] = {
    "Feedback": {"anyOf": [{"required": ["actual"]}, {"required": ["event"]}]},
}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ATTRIBUTE = re.compile(r"^    (?P<name>\w+): (?P<text>.*(?:\n {6,}.*)*)", re.MULTILINE)
_ROLE = re.compile(r":\w+:`([^`]*)`")


def components(
    types: Iterable[type[msgspec.Struct]], template: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Describe structures and all that they are made of.

    Args:
        types: the structures.
        template: how one schema refers to another, with ``{name}`` for its name.

    Returns:
        A reference to each structure, and the schemas by name. What docstrings say of attributes
        stands with the properties.
    """
    references, schemas = msgspec.json.schema_components(types, ref_template=template)
    for name, one in schemas.items():
        if "properties" in one:
            _describe(one)
        one.update(_CONDITIONS.get(name, {}))
    return list(references), dict(sorted(schemas.items()))


def document(name: str) -> dict[str, Any]:
    """Make the schema of one file.

    Raises:
        KeyError: there is no such file.
    """
    (reference,), schemas = components([DOCUMENTS[name]], "#/$defs/{name}")
    main = schemas.pop(reference["$ref"].rpartition("/")[2])
    whole = {"$schema": _DIALECT, **main}
    return whole | {"$defs": schemas} if schemas else whole


def render(name: str) -> str:
    """Write the schema of one file as text."""
    return msgspec.json.format(msgspec.json.encode(document(name)), indent=2).decode() + "\n"


def _describe(one: dict[str, Any]) -> None:
    """Move a docstring's description of attributes to the properties."""
    text = inspect.cleandoc(one.pop("description", ""))
    summary, _, rest = text.partition("\n\nAttributes:\n")
    one["description"] = _plain(summary)
    for found in _ATTRIBUTE.finditer(rest):
        described = one["properties"].get(found["name"])
        if described is not None:
            described.setdefault("description", _plain(found["text"]))


def _plain(text: str) -> str:
    return _ROLE.sub(r"`\1`", re.sub(r"\s+", " ", text).replace("``", "`")).strip()


def main(folder: Path) -> None:
    """Write all schemas into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in DOCUMENTS:
        (folder / f"{name}.schema.json").write_text(render(name))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
