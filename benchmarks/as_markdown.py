"""A results file as Markdown tables, each figure beside the command that makes it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Body = Mapping[str, Any]

_LABELS = {
    "driftline": "Driftline, {guarantee}, one message per event",
    "driftline_at_least_once": "Driftline, {guarantee}, one message per event",
    "driftline_segment": "Driftline, {guarantee}, one segment of five values",
    "driftline_batches": "Driftline, {guarantee}, columnar messages",
    "floor_orjson": "floor: reading (aiokafka) and decoding (orjson), nothing else",
    "floor_msgspec": "floor: the same with msgspec and typed structs",
    "floor_batches": "floor: the columnar messages (orjson)",
    "stock_faust": "stock Faust {version}, tables",
    "stock_faust_dicts": "stock Faust {version}, plain dictionaries, lost at a restart",
    "bytewax": "Bytewax {version}",
    "quix": "Quix Streams {version}",
}


def render(body: Body) -> str:
    """Make Markdown of a results file."""
    return "\n".join([*_head(body), *_systems(body), *_measurements(body), *_goals(body)])


def _table(head: Sequence[str], lines: Sequence[Sequence[str]], *, right: int = 1) -> list[str]:
    rule = ["---"] * right + ["---:"] * (len(head) - right)
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *lines)]


def _head(body: Body) -> Iterator[str]:
    machine, versions, workload = body["machine"], body["versions"], body["workload"]
    sizes = workload["payload_bytes"]
    named = ", ".join(f"{name} {found}" for name, found in versions.items())
    yield f"`{body.get('command', 'make bench')}`, {body['date'][:10]}: {machine['cores']} cores "
    yield f"({machine['cpu']}), {named}. {workload['rows']:,} predictions with their labels, "
    yield f"{workload['features']} features; bytes per message: prediction "
    yield f"{sizes['prediction']:g}, label {sizes['feedback']:g}, batch of {workload['batch']} "
    yield f"predictions {sizes['prediction_batch']:,.0f}, of labels {sizes['feedback_batch']:,.0f}."
    yield ""


def _systems(body: Body) -> list[str]:
    systems, ratios = body["systems"], body["ratios"]
    if not systems:
        return []
    lines = []
    for name, one in systems.items():
        rate = one["rows_per_cpu_second_net"]
        note = f" (from {one['rows']:,} rows)" if one["details"].get("extrapolated") else ""
        ratio = ratios.get(f"driftline / {name}")
        lines.append(
            (
                _label(name, one),
                f"{rate:,}{note}",
                f"{1e6 / rate:,.1f}",
                f"{one['peak_rss_bytes'] / 1e6:,.0f}",
                "" if ratio is None else f"{ratio:g}",
                f"`--only {name}`",
            )
        )
    head = (
        *("system", "rows per CPU-second, once started", "CPU-seconds per million", "peak MB"),
        *("Driftline / it", "`make bench ARGS=...`"),
    )
    return [*_table(head, lines), ""]


def _label(name: str, one: Body) -> str:
    details = one["details"]
    guarantee = str(details.get("guarantee", "")).replace("_", " ")
    version = next(iter(details.get("versions", {"": ""}).values()))
    label = _LABELS.get(name, name).format(guarantee=guarantee, version=version)
    return f"{label}; **miscounts**" if details.get("miscounts") else label


def _measurements(body: Body) -> Iterator[str]:
    lines = [
        (name, told, f"`{one['command']}`")
        for name, one in body.get("measurements", {}).items()
        for told in one["told"]
    ]
    if lines:
        yield from _table(("what", "figure", "command"), lines, right=3)
        yield ""


def _goals(body: Body) -> Iterator[str]:
    goals = body.get("goals", [])
    if goals:
        lines = [
            (goal["goal"], f"{goal['figure']:,g}", "yes" if goal["met"] else "**no**")
            for goal in goals
        ]
        yield from _table(("goal", "figure", "met"), lines)
