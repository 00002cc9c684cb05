"""The health server, asked over a real connection."""

from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from streams.edge.http import HealthServer
from streams.edge.status import EdgeStatus, PartitionStatus

PARTITION = PartitionStatus("join", 0, (), 0.1, None, 0, 0, {})
RUNNING = EdgeStatus("running", "", (PARTITION,), 1, 0.05)


class Served:
    """A running server whose status can be changed."""

    def __init__(self, server: HealthServer) -> None:
        self.server = server
        self.status = RUNNING

    async def get(self, path: str) -> tuple[int, str, str]:
        url = f"http://127.0.0.1:{self.server.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, answer.headers["Content-Type"], await answer.text()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    def page() -> tuple[bytes, str]:
        return b"up 1\n", "text/plain; version=0.0.4; charset=utf-8"

    served = Served(HealthServer("127.0.0.1", 0, lambda: served.status, page))
    await served.server.start()
    yield served
    await served.server.stop()


async def test_a_running_worker_is_alive_and_ready(served: Served) -> None:
    assert (await served.get("/healthz"))[0] == 200
    status, _, body = await served.get("/readyz")
    assert (status, '"join/0"' in body) == (200, True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"phase": "restoring", "reason": "restoring"}, "restoring"),
        ({"phase": "stopping", "reason": "stopping"}, "stopping"),
        ({"partitions": (), "reason": "no partitions assigned"}, "no partitions assigned"),
    ],
)
async def test_a_worker_that_does_not_process_is_alive_but_not_ready(
    served: Served, change: dict[str, object], reason: str
) -> None:
    served.status = replace(RUNNING, **change)  # type: ignore[arg-type] # fields by name
    assert (await served.get("/healthz"))[0] == 200
    status, _, body = await served.get("/readyz")
    assert (status, reason in body) == (503, True)


@pytest.mark.parametrize("change", [{"heartbeat_age": 11.0}, {"phase": "failed"}])
async def test_a_worker_whose_loop_stands_still_or_that_failed_is_not_alive(
    served: Served, change: dict[str, object]
) -> None:
    served.status = replace(RUNNING, **change)  # type: ignore[arg-type] # fields by name
    assert (await served.get("/healthz"))[0] == 503


async def test_metrics_are_passed_on_with_their_content_type(served: Served) -> None:
    status, content_type, body = await served.get("/metrics")
    assert (status, body) == (200, "up 1\n")
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
