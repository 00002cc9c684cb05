"""What a saved state holds, read out of a join that was restored from it."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

from core.join.driver import Run, StateTopic
from core.join.topics import Record, settings_of

from streams.core.join.pages import EXPIRED, LABELLED, MATCHED, PAGE_BITS
from streams.core.join.processor import JoinProcessor
from streams.core.partials import Bundle
from streams.wire import Output

FOLDER = Path(__file__).parent / "golden"


def spelled(data: bytes) -> str:
    return base64.b64encode(data).decode()


def read(text: str) -> bytes:
    return base64.b64decode(text)


def load(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


def topics_of(golden: Any) -> dict[str, list[Record]]:
    return {
        source: [Record(offset, read(value)) for offset, value in records]
        for source, records in golden["topics"].items()
    }


def run_of(golden: Any) -> Run:
    """A life that goes on from the saved state."""
    saved = golden["saved"]
    state = StateTopic(
        marker=read(saved["marker"]),
        positions=dict(saved["positions"]),
        records={name: read(value) for name, value in saved["records"].items()},
    )
    state.written = set(state.records)
    return Run(settings_of(golden["models"]), topics_of(golden), state)


def content(join: JoinProcessor) -> dict[str, Any]:
    """Everything that a join remembers, row by row, as JSON would have it."""
    inner = join._join
    store = inner.waiting.store
    rows = []
    for number, page in sorted(store.pages.items()):
        columns = store.columns(page, 0)
        model = inner.models[page.kind.name]
        for slot in range(page.used):
            held = store.rows[page.row + slot]
            flags = int(held["flags"])
            if not columns.ids.size[slot]:
                continue
            labelled = bool(flags & LABELLED)
            label: float | None = float(held["label"])
            if page.kind.regression:
                label = float(store._numbers(page, slot, slot + 1)[0, 1])
            rows.append(
                {
                    "handle": (number << PAGE_BITS) + slot,
                    "model": page.kind.name,
                    "id": columns.ids[slot],
                    "ts": int(columns.ts[slot]),
                    "cells": [list(cell) for cell in model.groups.cells(int(columns.group[slot]))],
                    "predicted": repr(float(columns.predicted[slot])),
                    "score": None if columns.score is None else repr(columns.score[slot].tolist()),
                    "ranking": page.rankings.get(slot),
                    "label": repr(label) if labelled and page.kind.wide else None,
                    "label_ts": int(held["label_ts"]) if labelled else None,
                    "matched": bool(flags & MATCHED),
                    "expired": bool(flags & EXPIRED),
                    "weight": page.weights.get(slot, 1.0),
                    "gains": page.gains.get(slot),
                    "outcomes": sorted(list(key) for key in page.outcomes.get(slot, ())),
                }
            )
    early = [
        {
            "number": int(batch.numbers[i]),
            "arrived": batch.arrived,
            "id": batch.rows.ids[i],
            "ts": int(batch.rows.ts[i]),
            "offset": int(batch.rows.offset[i]),
            "batch_row": batch.rows.raw[i].row,
            "event": batch.rows.event.strings()[i],
            "number_or_nan": repr(float(batch.rows.number[i])),
            "text": batch.rows.text.strings()[i],
            "items": batch.rows.items.get(i),
            "weight": float(batch.rows.weight[i]),
        }
        for batch in inner.early._batches
        for i in range(len(batch.rows))
        if batch.waiting[i]
    ]
    return {"rows": rows, "early": early, "books": join.books.snapshot()}


def told(outputs: list[Output]) -> dict[str, list[Any]]:
    """What left, apart from how news was cut into bundles."""
    left: dict[str, list[Any]] = {}
    for output in outputs:
        if output.topic != "partials":
            left.setdefault(output.topic, []).append(output)
            continue
        bundle = Bundle.decode(output.value)
        for tick in bundle.ticks:
            alone = Bundle(0, 1, 0, 0, bundle.tick_ms, [tick]).encode()
            left.setdefault(f"partials-{output.partition}", []).append((tick[0], alone))
    return left
