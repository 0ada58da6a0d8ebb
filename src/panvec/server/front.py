"""What every request passes first and last: its id, its key, the bounds of its body, its line in the log, its metrics."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from panvec.errors import PanvecError
from panvec.server.config import ServeConfig
from panvec.server.errors import OverloadedError, RequestError, answer, plain_answer, status_of
from panvec.server.keys import Keys
from panvec.server.metrics import Metrics

LOG = logging.getLogger("panvec.server")
_OPEN = {"/healthz", "/readyz", "/docs", "/openapi.json"}
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UPLOADS = ("/upload/", "/v1/files")
_LOCAL = {"localhost", "127.0.0.1", "[::1]", ""}
_PORT = re.compile(r":\d*$")
_BODIES = 8
"""Bodies of the largest size that may be held at once."""
_LINGER = 10.0
"""Seconds for which a body that is too large is still read and thrown away, so that the client reads the answer."""


class Front:
    """The outermost layer of the app."""

    def __init__(self, app: ASGIApp, config: ServeConfig, keys: Keys, metrics: Metrics) -> None:
        self.app, self.config, self.keys, self.metrics = app, config, keys, metrics
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        body = _Body(self, scope, receive)
        try:
            self._admit(scope)
            await body.check_declared()
            await self.app(scope, body.receive, exchange.send)
        except PanvecError as error:
            if status_of(error) >= 500:
                LOG.exception("failed", extra={"fields": {"id": exchange.id}})
            await exchange.fail(answer(scope, error), receive)
        except ClientDisconnect:
            LOG.debug("the client has gone")
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            if not full:
                LOG.exception("failed", extra={"fields": {"id": exchange.id}})
            message = "the server's disk is full: try again later" if full else "the server failed: see its log"
            await exchange.fail(plain_answer(scope, 507 if full else 500, message), receive)
        except Exception:
            LOG.exception("failed", extra={"fields": {"id": exchange.id}})
            await exchange.fail(plain_answer(scope, 500, "the server failed: see its log"), receive)
        finally:
            self.held -= body.counted
            self._record(scope, exchange)

    def _admit(self, scope: Scope) -> None:
        scope["state"]["owner"] = ""
        host = _PORT.sub("", _header(scope, b"host").lower())
        if self.config.local_only and host not in _LOCAL:
            raise RequestError(403, "without keys this server answers to localhost only")
        if scope["path"] not in _OPEN and not _has_capability(scope):
            scope["state"]["owner"] = self.keys.admit(_secret(scope))

    def _record(self, scope: Scope, exchange: _Exchange) -> None:
        seconds = time.monotonic() - exchange.begun
        route = getattr(scope.get("route"), "path", "") or "unmatched"
        self.metrics.request(route, scope["method"], exchange.status, seconds)
        fields = {
            "id": exchange.id,
            "method": scope["method"],
            "route": route,
            "status": exchange.status,
            "ms": round(seconds * 1000, 1),
            "key": scope["state"].get("owner", ""),
        }
        LOG.info("request", extra={"fields": fields})


class _Exchange:
    """The answer to one request: its id, its status, and whether it has begun."""

    def __init__(self, scope: Scope, send: Send) -> None:
        given = _header(scope, b"x-request-id")
        self.id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        self.begun = time.monotonic()
        self.status = 499
        self._scope, self._send = scope, send
        scope.setdefault("state", {})["request_id"] = self.id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), (b"x-request-id", self.id.encode())]
        await self._send(message)

    async def fail(self, response: Response, receive: Receive) -> None:
        if self.status == 499:
            await response(self._scope, receive, self.send)


class _Body:
    """The body of one request, counted and timed as it comes."""

    def __init__(self, front: Front, scope: Scope, receive: Receive) -> None:
        self._front, self._scope, self._receive = front, scope, receive
        upload = scope["path"].startswith(_UPLOADS) and scope["method"] == "POST"
        self.limit = front.config.upload_bytes if upload else front.config.body_bytes
        self._held = not upload
        self._deadline = time.monotonic() + front.config.body_seconds * (10 if upload else 1)
        self._size = 0
        self._complete = False
        self.counted = 0

    async def check_declared(self) -> None:
        """Raises RequestError where the header already says that it is too large."""
        declared = _header(self._scope, b"content-length")
        if declared.isdigit() and int(declared) > self.limit:
            await self._discard()
            raise self._too_large()

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self._deadline - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise RequestError(408, f"the body took longer than {self._front.config.body_seconds:g} s to come") from None
        await self._count(message)
        return message

    async def _count(self, message: Message) -> None:
        self._complete = not message.get("more_body", False)
        size = len(message.get("body", b""))
        self._size += size
        if self._size > self.limit:
            await self._discard()
            raise self._too_large()
        if self._held:
            self.counted += size
            self._front.held += size
            if self._front.held > _BODIES * self._front.config.body_bytes:
                raise OverloadedError("too many large requests are being read: try again in 5 s", 5)

    async def _discard(self) -> None:
        try:
            async with asyncio.timeout(_LINGER):
                while (await self._receive()).get("more_body", False):
                    pass
        except TimeoutError:
            pass

    def _too_large(self) -> RequestError:
        return RequestError(
            413, f"the body is over the limit of {self.limit:,} bytes: upload large media as files, or send fewer"
        )


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event and fields. Bodies, queries and keys are never among them."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


async def until_gone(receive: Callable[[], Awaitable[Message]], work: Awaitable[Any]) -> Any:
    """What `work` gives; where the client goes away first, `work` is cancelled, and so are its contents in the queues.

    Raises:
        RequestError: 499, the client has gone.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise RequestError(499, "the client has gone")
    finally:
        gone.cancel()
        task.cancel()


async def _disconnect(receive: Callable[[], Awaitable[Message]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _has_capability(scope: Scope) -> bool:
    """Whether the request goes on with an upload, whose unguessable id is looked up: Google's clients send no key with it."""
    return scope["path"].startswith("/upload/") and b"upload_id=" in scope["query_string"]


def _secret(scope: Scope) -> str | None:
    kind, _, secret = _header(scope, b"authorization").partition(" ")
    if kind.lower() == "bearer" and secret:
        return secret.strip()
    if given := _header(scope, b"x-goog-api-key"):
        return given
    return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("key", [])), None)
