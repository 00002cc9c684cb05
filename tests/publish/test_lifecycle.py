"""A publisher survives forks and uses the end of its process well."""

import subprocess
import sys
from collections import Counter

from publish.reading import TOPICS, read_messages, rows_of

from streams.edge.embedded import EmbeddedBroker
from support.embedded import StartBroker

MODEL = "model='m', model_version='1'"


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def arrived(broker: EmbeddedBroker, count: int) -> Counter[str]:
    messages = read_messages(broker, "driftline.predictions", count)
    return Counter(row["prediction_id"] for message in messages for row in rows_of(message))


def test_the_end_of_the_process_delivers_what_is_pending(embedded: StartBroker) -> None:
    broker = embedded(TOPICS)
    run(
        "import sys; from streams import Publisher\n"
        "publisher = Publisher(sys.argv[1])\n"
        f"for n in range(20): publisher.log_prediction(f'id-{{n}}', {MODEL})\n",
        broker.bootstrap_servers,
    )
    assert arrived(broker, 20) == Counter(f"id-{n}" for n in range(20))


def test_the_end_of_the_process_does_not_wait_for_a_broker_for_ever() -> None:
    # The delivery timeout exceeds the test's limit, so only the exit budget can end it.
    printed = run(
        "from streams import Publisher\n"
        "publisher = Publisher('127.0.0.1:1', delivery_timeout=3600)\n"
        f"publisher.log_prediction({MODEL})\n"
        "import atexit; atexit._run_exitfuncs(); print(publisher.stats().lost)"
    )
    assert printed == "{<Loss.CLOSED: 'closed'>: 1}"


FORK = f"""
import os, sys
from streams import Publisher

publisher = Publisher(sys.argv[1])
{{before}}
child = os.fork()
name = "parent" if child else "child"
for n in range(10):
    publisher.log_prediction(f"{{{{name}}}}-{{{{n}}}}", {MODEL})
assert publisher.flush(20) == 0
stats = publisher.stats()
assert stats.logged == stats.delivered == {{expected}}, stats
if child:
    _, status = os.waitpid(child, 0)
    assert status == 0, status
"""


def test_a_child_forked_before_the_first_event_publishes(embedded: StartBroker) -> None:
    """As with gunicorn --preload: the publisher is made in the parent and used in children."""
    broker = embedded(TOPICS)
    run(FORK.format(before="", expected="10"), broker.bootstrap_servers)
    assert arrived(broker, 20) == Counter(
        f"{name}-{n}" for name in ("parent", "child") for n in range(10)
    )


def test_a_child_forked_in_full_flight_publishes_its_own_events_only(
    embedded: StartBroker,
) -> None:
    broker = embedded(TOPICS)
    before = f"for n in range(50): publisher.log_prediction(f'before-{{n}}', {MODEL})"
    script = FORK.format(before=before, expected="(60 if child else 10)")
    run(script, broker.bootstrap_servers)
    expected = Counter(f"{name}-{n}" for name in ("parent", "child") for n in range(10))
    expected.update(f"before-{n}" for n in range(50))
    assert arrived(broker, 70) == expected


def test_a_fork_that_ran_no_hooks_is_noticed_by_the_process_id(embedded: StartBroker) -> None:
    broker = embedded(TOPICS)
    script = FORK.format(before="", expected="10")
    # Only the hook is taken away; the publisher has to find out by itself.
    script = script.replace(
        "publisher = ",
        "from streams.publish import lifecycle\nlifecycle._restart_all = print\npublisher = ",
    )
    run(script, broker.bootstrap_servers)
    assert sum(arrived(broker, 20).values()) == 20


def test_importing_the_package_loads_nothing_heavy_and_starts_no_thread() -> None:
    run(
        "import sys, threading; from streams import Publisher, InMemoryPublisher\n"
        "heavy = {'numpy', 'faust', 'pydantic', 'pyarrow', 'aiokafka'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "Publisher('127.0.0.1:1').stats()\n"
        "assert threading.active_count() == 1"
    )


def test_importing_streams_alone_loads_not_even_the_kafka_client() -> None:
    run("import sys, streams; assert 'confluent_kafka' not in sys.modules")
