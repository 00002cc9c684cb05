"""The table at the end, and the same as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from chaos.recovery import Recovery
from chaos.trial import Outcome

_SHOWN = (
    ("windows counted", "windows"),
    ("predictions counted", "predictions in them"),
    ("labels counted", "labels in them"),
    ("alerts", "alerts"),
    ("metrics same as replay", "payloads as in a replay"),
    ("offset samples", "samples of offsets"),
)


def show(console: Console, outcomes: Sequence[Outcome], recoveries: Sequence[Recovery]) -> None:
    """Print what was found."""
    if outcomes:
        console.print(_scenarios(outcomes))
    for outcome in outcomes:
        for fault in outcome.faults:
            console.print(f"[red]{outcome.name}:[/red] {fault}", highlight=False, soft_wrap=True)
        for note in outcome.notes:
            console.print(f"{outcome.name}: {note}", highlight=False, soft_wrap=True)
    if recoveries:
        console.print(_recoveries(recoveries))


def faulty(outcomes: Sequence[Outcome], recoveries: Sequence[Recovery]) -> bool:
    """Tell whether anything was wrong."""
    return any(one.faults for one in outcomes) or any(one.faults for one in recoveries)


def document(
    outcomes: Sequence[Outcome], recoveries: Sequence[Recovery], terms: dict[str, Any]
) -> bytes:
    """Write what was found as JSON."""
    found = {
        "terms": terms,
        # asdict() would make another kind of counter of it.
        "scenarios": [asdict(one) | {"checked": dict(one.checked)} for one in outcomes],
        "recovery": [asdict(one) | {"rows_per_second": one.rows_per_second} for one in recoveries],
        "right": not faulty(outcomes, recoveries),
    }
    return orjson.dumps(found, option=orjson.OPT_INDENT_2)


def _scenarios(outcomes: Sequence[Outcome]) -> Table:
    table = Table("scenario", "rounds", "sent", "checked", "recovery s", "stop s", "verdict")
    for one in outcomes:
        checked = [f"{one.checked[key]:,} {name}" for key, name in _SHOWN if one.checked[key]]
        if one.repeats:
            checked.append(f"{one.repeats:,} repeats dropped")
        if one.ended:
            checked.append(f"{len(one.ended)} workers ended by themselves")
        table.add_row(
            one.name,
            str(one.rounds),
            f"{one.sent:,}",
            "\n".join(checked),
            _range(one.recoveries),
            _range(one.stops),
            f"[red]{len(one.faults)} faults[/red]" if one.faults else "[green]right[/green]",
        )
    return table


def _recoveries(recoveries: Sequence[Recovery]) -> Table:
    table = Table(
        "waiting", "state records", "ready s", "full speed s", "restored rows/s", "verdict"
    )
    for one in recoveries:
        table.add_row(
            f"{one.waiting:,}",
            f"{one.records:,}",
            f"{one.ready:.1f}",
            f"{one.full_speed:.1f}",
            f"{one.rows_per_second:,.0f}",
            f"[red]{'; '.join(one.faults)}[/red]" if one.faults else "[green]right[/green]",
        )
    return table


def _range(values: Sequence[float]) -> str:
    if not values:
        return ""
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.1f} (most {ordered[-1]:.1f})"
