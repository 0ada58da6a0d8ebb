"""Running the app on uvicorn: headers that must come in time, and SIGTERM that lets what was taken be finished."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from panvec.errors import PanvecError
from panvec.models.embedder import Embedder
from panvec.server.app import create_app
from panvec.server.config import ServeConfig
from panvec.server.front import LOG, JsonLines
from panvec.server.keys import Keys

_HEADER_SECONDS = 10.0
DRAIN_SECONDS = 600
CONNECTIONS = 1024


class TimedProtocol(HttpToolsProtocol):
    """HTTP, where the headers of a request must be there `header_seconds` after the connection or the request began."""

    _late: asyncio.TimerHandle | None = None

    def __init__(self, header_seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self._header_seconds = header_seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._start(transport)

    def on_message_begin(self) -> None:
        """Start it again for the next request of the connection."""
        super().on_message_begin()
        if self._late is None:
            self._start(self.transport)

    def on_headers_complete(self) -> None:
        """Stop it."""
        self._stop()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop it."""
        self._stop()
        super().connection_lost(exc)

    def _start(self, transport: asyncio.Transport) -> None:
        self._late = self.loop.call_later(self._header_seconds, transport.abort)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals end the server in order, and the process then ends with 0: uvicorn would send itself the signal again."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        yield


def serve(config: ServeConfig, host: str, port: int, keys: Keys) -> None:
    """Serve until a signal comes; port 0 is any free one, named in the log.

    Raises:
        PanvecError: the model cannot be loaded, the state cannot be used, or the port is taken.
    """
    log_lines()
    embedder = Embedder(config.model, threads=config.threads, limits=config.limits)
    embedder.embed("ready")
    app = create_app(embedder, config, keys)
    listening = listen(host, port)
    LOG.info("listening", extra={"fields": {"host": host, "port": listening.getsockname()[1]}})
    options = uvicorn.Config(
        app,
        http=partial(TimedProtocol, min(config.body_seconds, _HEADER_SECONDS)),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        limit_concurrency=CONNECTIONS,
    )
    _Server(options).run([listening])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        PanvecError: the port is taken, or the host is no address of this machine.
    """
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=CONNECTIONS
        )
    except OSError as error:
        raise PanvecError(f"cannot listen on {host}:{port} ({error.strerror or error}): give another --port") from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on `host`."""
    return host in ("localhost", "127.0.0.1", "::1")


def log_lines() -> None:
    """Log one JSON object a line, on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    LOG.handlers, LOG.propagate = [handler], False
    LOG.setLevel(logging.INFO)
    logging.getLogger("uvicorn").handlers = [handler]
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").propagate = False
