"""Command line of the proof of exactly once; see the package ``chaos``."""

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from broker import KafkaUnavailableError
from chaos import report
from chaos.recovery import Recovery, measure
from chaos.scenarios import SCENARIOS, quick
from chaos.trial import Outcome, Terms
from confluent_kafka import KafkaException
from rich.console import Console

WIDTH = 160
"""Of the table, where no terminal says its own."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description="Proof of exactly once.")
    parser.add_argument("--rounds", type=int, default=30, help="kills; other scenarios do fewer")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, help="scenarios to run")
    parser.add_argument("--quick", action="store_true", help="the short form: one node, a minute")
    parser.add_argument("--recovery", action="store_true", help="measure the way back alone")
    parser.add_argument("--waiting", type=int, default=1_000_000, help="predictions that wait")
    parser.add_argument("--rate", type=float, default=600.0, help="predictions per second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--guarantee", choices=("exactly_once", "at_least_once"), default="exactly_once"
    )
    parser.add_argument("--folder", type=Path, help="keep files there, such as the workers' logs")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Run; 0 if everything came out right, 1 if not, 2 if the proof could not run."""
    arguments = _arguments()
    console = Console(stderr=arguments.json)
    if not console.is_terminal:
        console = Console(stderr=arguments.json, width=WIDTH)
    with tempfile.TemporaryDirectory(prefix="driftline-chaos-") as folder:
        terms = Terms(
            arguments.folder or Path(folder),
            arguments.guarantee,
            arguments.rate,
            arguments.seed,
        )
        outcomes: list[Outcome] = []
        recoveries: list[Recovery] = []
        try:
            if arguments.recovery:
                recoveries.append(measure(terms, arguments.waiting))
            elif arguments.quick:
                outcomes.append(_run("quick", terms, min(arguments.rounds, 2), console))
            else:
                # One by one, so that what was found is shown when a later one cannot run.
                for name in arguments.only or SCENARIOS:
                    outcomes += [_run(name, terms, arguments.rounds, console)]
        except (KafkaUnavailableError, KafkaException, PermissionError) as failure:
            console.print(f"[red]the proof could not run:[/red] {failure}", highlight=False)
            report.show(console, outcomes, recoveries)
            return 2
    report.show(console, outcomes, recoveries)
    if arguments.json:
        shown = asdict(terms) | {"folder": None, "rounds": arguments.rounds}
        sys.stdout.buffer.write(report.document(outcomes, recoveries, shown) + b"\n")
    return int(report.faulty(outcomes, recoveries))


def _run(name: str, terms: Terms, rounds: int, console: Console) -> Outcome:
    scenario = {**SCENARIOS, "quick": quick}[name]
    outcome = Outcome(name)
    scenario(terms, outcome, rounds)
    verdict = f"{len(outcome.faults)} faults" if outcome.faults else "right"
    console.print(f"{name}: {verdict}, {outcome.seconds:.0f} s", highlight=False)
    for fault in outcome.faults:
        console.print(f"  [red]{fault}[/red]", highlight=False, soft_wrap=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
