"""The health server, asked over a real connection."""

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from streams.edge.http import HealthServer, Render, accepts_gzip
from streams.edge.scrape import figures, scraper
from streams.edge.status import EdgeStatus, PartitionStatus

DEADLINE = 20.0
TYPE = "text/plain; version=0.0.4; charset=utf-8"

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
        return b"up 1\n", TYPE

    one = Served(HealthServer("127.0.0.1", 0, lambda: one.status, page))
    await one.server.start()
    yield one
    await one.server.stop()


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
    assert content_type == TYPE


async def fetch(port: int, accept: str = "gzip") -> tuple[bytes, str | None]:
    """Get the bytes as they come and how they are coded."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(
            f"http://127.0.0.1:{port}/metrics", headers={"Accept-Encoding": accept}
        ) as answer,
    ):
        assert answer.headers["Vary"] == "Accept-Encoding"
        return await answer.read(), answer.headers.get("Content-Encoding")


class Slow:
    """A page that is ready when told, and counts how often it was made."""

    def __init__(self) -> None:
        self.made = 0
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.thread: threading.Thread | None = None

    def __call__(self) -> tuple[bytes, str]:
        self.made += 1
        self.thread = threading.current_thread()
        self.begun.set()
        assert self.go_on.wait(DEADLINE)
        return f"made {self.made}\n".encode(), TYPE


async def serve(render: Render) -> HealthServer:
    server = HealthServer("127.0.0.1", 0, lambda: RUNNING, render)
    await server.start()
    return server


async def test_the_loop_has_turns_while_one_page_is_made_for_all_who_ask() -> None:
    slow = Slow()
    server = await serve(slow)
    asking = [
        asyncio.create_task(fetch(server.port, accept)) for accept in ("gzip", "identity", "gzip")
    ]
    # the loop serves another request while the page is being made
    assert await asyncio.to_thread(slow.begun.wait, DEADLINE)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{server.port}/healthz") as answer,
    ):
        assert answer.status == 200
    slow.go_on.set()
    zipped, plain, again = await asyncio.gather(*asking)
    await server.stop()
    assert slow.thread is not threading.main_thread()
    assert plain == (b"made 1\n", None)
    assert zipped == again
    assert (gzip.decompress(zipped[0]), zipped[1]) == (b"made 1\n", "gzip")


async def test_who_hangs_up_does_not_take_the_page_from_the_others() -> None:
    slow = Slow()
    server = await serve(slow)
    impatient = asyncio.create_task(fetch(server.port))
    assert await asyncio.to_thread(slow.begun.wait, DEADLINE)
    patient = asyncio.create_task(fetch(server.port))
    impatient.cancel()
    await asyncio.wait([impatient])
    slow.go_on.set()
    assert gzip.decompress((await patient)[0]).startswith(b"made ")
    await server.stop()


async def test_a_page_that_cannot_be_made_is_an_error_for_this_scrape_only() -> None:
    failing = [True]

    async def page() -> tuple[bytes, str]:
        await asyncio.sleep(0)
        if failing.pop():
            raise ValueError
        return b"up 1\n", TYPE

    server = await serve(page)
    url = f"http://127.0.0.1:{server.port}/metrics"
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as answer:
            assert answer.status == 500
        failing.append(False)
        async with session.get(url) as answer:
            assert await answer.text() == "up 1\n"
    await server.stop()


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip; q = 0.000, *", False),
        ("*", True),
        ("*;q=0", False),
        ("identity;q=1, gzip;q=0.0", False),
    ],
)
def test_gzip_is_used_where_it_is_accepted(header: str, accepted: bool) -> None:  # noqa: FBT001 - a table
    assert accepts_gzip(header) is accepted


def test_partitions_given_up_are_counted() -> None:
    assert figures(replace(RUNNING, fencings=3))["fencings_total"] == {(): 3}


async def test_a_scrape_shows_the_worker_as_it_is_and_again_within_a_second(
    make_settings: Any,
) -> None:
    render = scraper(make_settings(), lambda: replace(RUNNING, fencings=2), list)
    body, content_type = await render()
    assert content_type == TYPE
    assert b"# TYPE driftline_fencings_total counter\ndriftline_fencings_total 2\n" in body
    assert b"driftline_worker_ready 1\n" in body
    assert (await render())[0] is body
