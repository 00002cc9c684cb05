"""``driftline demo`` from end to end."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from streams.demo.process import WorkerDiedError, WorkerProcess, choose_port
from streams.demo.summary import FEEDBACK, moment


@pytest.mark.embedded
@pytest.mark.slow
def test_the_demo_finds_its_drift_balances_its_books_and_ends_by_itself(tmp_path: Path) -> None:
    words = ["demo", "--seconds", "30", "--rate", "200", "--port", "0", "--json"]
    run = subprocess.run(
        [sys.executable, "-m", "streams.cli", *words, "--keep", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    told = f"{run.stdout}\n{run.stderr}\n{(tmp_path / 'worker.log').read_text()}"
    assert run.returncode == 0, told
    assert "leaked" not in told
    assert len(run.stdout.splitlines()) == 1
    s = orjson.loads(run.stdout)
    assert s["predictions"] > 2 * 200 * 15
    assert s["predictions"] == (
        s["joined"] + s["waiting"] + s["expired"] + s["duplicates"] + s["quarantined"]
    )
    assert s["feedback"] == s["orphans"] + sum(
        s[f"feedback_{outcome}"]
        for outcome in (
            *("joined", "waiting", "duplicates", "corrected", "conflicts", "late", "quarantined"),
        )
    )
    assert len(FEEDBACK) == 8
    assert s["balanced"]
    assert s["duplicates"] > 0
    assert s["quarantined"] > 0
    assert s["alerts"] > 0
    assert s["false_alerts"] == 0
    delay = moment(s["drift_detected_at"]) - moment(s["drift_injected_at"])
    assert delay == pytest.approx(s["detection_delay_seconds"])
    assert delay >= 0


def test_a_worker_that_cannot_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    config = tmp_path / "driftline.yaml"
    config.write_text("kafka: {bootstrap_server: 127.0.0.1:1}\n")
    worker = WorkerProcess(config, choose_port(0), tmp_path / "worker.log")
    worker.start()
    with pytest.raises(WorkerDiedError, match=r"ended with code 2\n(.*\n)*.*bootstrap_server"):
        worker.wait_until_ready()
    assert worker.stop() == 2
