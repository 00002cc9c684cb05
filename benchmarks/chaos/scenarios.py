"""What happens to the system, one function per kind of misfortune."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from chaos.cluster import SmallDisk
from chaos.installation import SESSION_SECONDS
from chaos.trial import Outcome, Terms, Trial
from chaos.workers import Crew, NotInTimeError, Worker, last_words, wait_until
from support.kafka import RealCluster, RealKafka

CLEAR_STOP_SECONDS = 90.0
"""More than processing.checkpoint_timeout, after which a worker gives up."""

Scenario = Callable[[Terms, Outcome, int], None]


@contextmanager
def _on_one_node(terms: Terms, outcome: Outcome, *, static: bool = False) -> Iterator[Trial]:
    with RealKafka(heap="384m") as node:
        trial = Trial(terms, outcome, node.bootstrap_servers, static=static)
        with trial.running():
            yield trial


def _kill_rounds(trial: Trial, rounds: int) -> None:
    for _ in range(rounds):
        trial.pause(0.0, 2.0)
        trial.crew.kill(trial.random.choice(trial.crew.workers()))
        trial.outcome.rounds += 1
        if trial.random.random() < 0.2:
            # Another one while the first is still being replaced.
            trial.pause(0.0, 3.0)
            trial.crew.kill(trial.random.choice(trial.crew.workers()))
            trial.outcome.rounds += 1
        trial.note_recovery()


def kills(terms: Terms, outcome: Outcome, rounds: int) -> None:
    """SIGKILL of a random worker out of three, at random moments."""
    with _on_one_node(terms, outcome) as trial:
        _kill_rounds(trial, rounds)


def kills_static(terms: Terms, outcome: Outcome, rounds: int) -> None:
    """The same with static membership."""
    with _on_one_node(terms, outcome, static=True) as trial:
        _kill_rounds(trial, max(rounds // 3, 1))


def rebalances(terms: Terms, outcome: Outcome, rounds: int) -> None:
    """Workers join and leave in order."""
    with _on_one_node(terms, outcome) as trial:
        _join_and_leave(trial, rounds)


def rebalances_static(terms: Terms, outcome: Outcome, rounds: int) -> None:
    """The same with static membership."""
    with _on_one_node(terms, outcome, static=True) as trial:
        _join_and_leave(trial, rounds)


def _join_and_leave(trial: Trial, rounds: int) -> None:
    crew = trial.crew
    for _ in range(max(rounds // 5, 1)):
        crew.hire()
        trial.pause(1.0, 6.0)
        crew.dismiss(trial.random.choice(crew.workers()))
        trial.outcome.rounds += 2
        trial.note_recovery()
        crew.dismiss(trial.random.choice(crew.workers()))
        trial.pause(0.0, 3.0)
        crew.hire()
        trial.outcome.rounds += 2
        trial.note_recovery()


def zombies(terms: Terms, outcome: Outcome, rounds: int) -> None:
    """SIGSTOP of a worker past its session timeout, then SIGCONT."""
    with _on_one_node(terms, outcome) as trial:
        for _ in range(max(rounds // 10, 1)):
            trial.pause(0.0, 2.0)
            zombie = trial.random.choice(trial.crew.workers())
            zombie.pause()
            trial.pause(SESSION_SECONDS + 3.0, SESSION_SECONDS + 6.0)
            zombie.resume()
            trial.outcome.rounds += 1
            trial.note_recovery()


def broker_stops(terms: Terms, outcome: Outcome, rounds: int) -> None:
    """The only broker is stopped or killed, and started again."""
    with RealKafka(heap="384m") as node:
        trial = Trial(terms, outcome, node.bootstrap_servers)
        with trial.running():
            for number in range(max(rounds // 10, 2)):
                trial.pause(1.0, 4.0)
                if number % 2:
                    node.kill()
                else:
                    node.halt()
                trial.pause(1.0, 12.0)
                node.restart()
                trial.outcome.rounds += 1
                trial.note_recovery()


def three_nodes(terms: Terms, outcome: Outcome, rounds: int) -> None:
    """A node is killed and replaced with an empty one, leaders move, workers are killed."""
    with RealCluster() as cluster:
        trial = Trial(terms, outcome, cluster.bootstrap_servers, replicas=3)
        with trial.running():
            for _ in range(max(rounds // 10, 1)):
                node = cluster.nodes[trial.random.choice(list(cluster.nodes))]
                trial.pause(0.0, 2.0)
                node.kill()
                trial.pause(0.0, 3.0)
                trial.crew.kill(trial.random.choice(trial.crew.workers()))
                trial.note_recovery()
                node.replace()
                cluster.wait_until_in_sync()
                _move_leaders(cluster, trial)
                trial.outcome.rounds += 3
                trial.note_recovery()


def _move_leaders(cluster: RealCluster, trial: Trial) -> None:
    before = cluster.leaders()
    cluster.elect_preferred()

    def moved() -> int:
        after = cluster.leaders()
        return sum(after.get(place) != leader for place, leader in before.items())

    wait_until(moved, "leaders to move", 30)
    trial.outcome.checked["leaders moved"] += moved()


def full_disk(terms: Terms, outcome: Outcome, rounds: int) -> None:  # noqa: ARG001 - once is enough
    """The broker's disk fills up; after repair the books balance."""
    with SmallDisk() as disk, RealKafka(heap="384m", properties=disk.properties) as node:
        trial = Trial(terms, outcome, node.bootstrap_servers)
        with trial.running() as load:
            trial.pause(2.0, 4.0)
            with trial.crew.unsupervised(), load.held():
                disk.fill()
                wait_until(lambda: not node.running, "the broker to end", 60)
                outcome.rounds += 1
                _expect_clear_stop(trial.crew, outcome)
                disk.free()
                node.restart()
            trial.note_recovery()


def _expect_clear_stop(crew: Crew, outcome: Outcome) -> None:
    """Workers without a broker end with a code and a sentence, or say that they are not ready."""

    def settled() -> bool:
        return not any(_claims_ready(worker) for worker in crew.workers())

    with suppress(NotInTimeError):
        wait_until(settled, "the workers to stop", CLEAR_STOP_SECONDS)
    for worker in crew.workers():
        outcome.checked["clear stops"] += 1
        code = worker.process.poll()
        if code is not None:
            outcome.notes.append(f"a worker ended with code {code}: {last_words(worker)[:200]}")
            if not code:
                outcome.faults.append("a worker ended with code 0 although the broker had failed")
            if "the worker stops" not in last_words(worker):
                outcome.faults.append("a worker ended without a word on why")
        elif _claims_ready(worker):
            outcome.faults.append(
                f"{CLEAR_STOP_SECONDS:g} s after the broker ended a worker still says it is ready"
            )
        else:
            outcome.notes.append("a worker waits for the broker and says that it is not ready")


def _claims_ready(worker: Worker) -> bool:
    return worker.alive and worker.figures().get("driftline_worker_ready") != 0.0


def broken_state(terms: Terms, outcome: Outcome, rounds: int) -> None:  # noqa: ARG001 - likewise
    """A record of the state topic is damaged: a clear stop; after repair the books balance."""
    with _on_one_node(terms, outcome) as trial:
        crew = trial.crew
        trial.pause(3.0, 5.0)
        crew.dismiss_all()
        repair = trial.installation.damage_state(trial.random)
        outcome.rounds += 1
        with crew.unsupervised():
            crew.hire()
            (worker,) = crew.workers()
            wait_until(lambda: not worker.alive, "the worker to refuse the state", 60)
            said = worker.log.read_text(encoding="utf-8", errors="replace")
            code = worker.process.returncode
            clear = "cannot be read" in said and "start afresh" in said
            outcome.checked["clear stops"] += 1
            if not code or not clear:
                outcome.faults.append(f"no clear stop: code {code}, {last_words(worker)}")
            repair()
        crew.hire(2)
        trial.note_recovery()


def quick(terms: Terms, outcome: Outcome, rounds: int) -> None:
    """Short form: a few kills, one zombie, one join and one leave."""
    with _on_one_node(terms, outcome) as trial:
        _kill_rounds(trial, rounds)
        zombie = trial.random.choice(trial.crew.workers())
        zombie.pause()
        time.sleep(SESSION_SECONDS + 2.0)
        zombie.resume()
        trial.crew.hire()
        trial.note_recovery()
        trial.crew.dismiss(trial.random.choice(trial.crew.workers()))
        outcome.rounds += 3
        trial.note_recovery()


SCENARIOS: dict[str, Scenario] = {
    "kills": kills,
    "kills_static": kills_static,
    "rebalances": rebalances,
    "rebalances_static": rebalances_static,
    "zombies": zombies,
    "broker_stops": broker_stops,
    "three_nodes": three_nodes,
    "full_disk": full_disk,
    "broken_state": broken_state,
}
