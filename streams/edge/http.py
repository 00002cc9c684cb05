"""A small HTTP server of the worker's own: liveness, readiness, metrics.

The event loop that answers is the one that processes events, so nothing long happens on it: pages
are made and compressed in threads, and all who ask meanwhile are given the same page.
"""

import asyncio
import gzip
import inspect
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar, cast

from aiohttp import hdrs, web

from streams.edge.status import EdgeStatus

Page = tuple[bytes, str]
"""A body and its content type."""

Render = Callable[[], Page] | Callable[[], Awaitable[Page]]
"""Makes a page: a plain function in a thread, a coroutine function on the event loop. It is not
asked for another page before it has made one."""

ALIVE_SECONDS = 10.0

_FASTEST = 1
"""Level of compression; higher ones take more than twice as long and save a third at most."""

_UNWANTED = re.compile(r"q=0(\.0*)?")

T = TypeVar("T")


def accepts_gzip(header: str) -> bool:
    """Tell whether an Accept-Encoding header admits gzip (RFC 9110, section 12.5.3)."""
    wanted: dict[str, bool] = {}
    for part in header.lower().split(","):
        coding, _, weight = part.partition(";")
        wanted[coding.strip()] = not _UNWANTED.fullmatch("".join(weight.split()))
    return wanted.get("gzip", wanted.get("*", False))


class _Shared(Generic[T]):
    """Work that is done once for all who ask while it is going on."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._task: asyncio.Task[T] | None = None

    async def result(self) -> T:
        """Wait for the work; whoever stops waiting does not stop it for the others."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await asyncio.shield(self._task)

    def stop(self) -> None:
        """Wait for it no longer."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> T:
        try:
            return await self._work()
        finally:
            self._task = None


class HealthServer:
    """Serves ``/healthz``, ``/readyz`` and ``/metrics``."""

    def __init__(
        self, host: str, port: int, status: Callable[[], EdgeStatus], render: Render
    ) -> None:
        """Keep the settings.

        Args:
            host: address to listen on.
            port: port to listen on; 0 takes any free one.
            status: describes the worker.
            render: makes the page of ``/metrics``.
        """
        self._host = host
        self._wanted = port
        self._status = status
        self._page = _Shared(_off_the_loop(render))
        self._zipped = _Shared(self._zip)
        self._zipped_last: tuple[bytes | None, bytes] = None, b""
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be listened on.
        """
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=0.5
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._wanted).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        self._zipped.stop()
        self._page.stop()

    async def _healthz(self, _: web.Request) -> web.Response:
        status = self._status()
        alive = status.heartbeat_age < ALIVE_SECONDS and status.phase != "failed"
        body = {
            "alive": alive,
            "phase": status.phase,
            "heartbeat_age": round(status.heartbeat_age, 3),
        }
        return web.json_response(body, status=200 if alive else 503)

    async def _readyz(self, _: web.Request) -> web.Response:
        status = self._status()
        body = {
            "ready": status.ready,
            "reason": status.reason,
            "partitions": [f"{p.stage}/{p.partition}" for p in status.partitions],
        }
        return web.json_response(body, status=200 if status.ready else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        headers: dict[str, str] = {hdrs.VARY: hdrs.ACCEPT_ENCODING}
        if accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
            headers[hdrs.CONTENT_ENCODING] = "gzip"
            body, headers[hdrs.CONTENT_TYPE] = await self._zipped.result()
        else:
            body, headers[hdrs.CONTENT_TYPE] = await self._page.result()
        return web.Response(body=body, headers=headers)

    async def _zip(self) -> Page:
        """Make a page and compress it, unless it is the one that was compressed last."""
        body, content_type = await self._page.result()
        if body is not self._zipped_last[0]:
            zipped = await asyncio.to_thread(gzip.compress, body, _FASTEST, mtime=0)
            self._zipped_last = body, zipped
        return self._zipped_last[1], content_type


def _off_the_loop(render: Render) -> Callable[[], Awaitable[Page]]:
    if inspect.iscoroutinefunction(render):
        return render
    plain = cast("Callable[[], Page]", render)
    return partial(asyncio.to_thread, plain)
