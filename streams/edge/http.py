"""A small HTTP server of the worker's own: liveness, readiness, metrics."""

from collections.abc import Callable

from aiohttp import web

from streams.edge.status import EdgeStatus

Render = Callable[[], tuple[bytes, str]]

ALIVE_SECONDS = 10.0


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
            render: returns the body of ``/metrics`` and its content type; it runs on the event
                loop and has to be quick.
        """
        self._host = host
        self._wanted = port
        self._status = status
        self._render = render
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

    async def _metrics(self, _: web.Request) -> web.Response:
        body, content_type = self._render()
        return web.Response(body=body, headers={"Content-Type": content_type})
