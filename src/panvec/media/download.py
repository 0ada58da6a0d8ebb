"""Fetching a URL: http and https only, also after redirects, within the download limits."""

import http.client
import io
import time
import urllib.parse
import urllib.request
from functools import partial
from typing import Any

from panvec.content import Limits
from panvec.errors import LimitError, MediaError


class _Deadlined(io.RawIOBase):
    """What comes through a socket until `deadline`, however slowly: its own timeout only limits each wait."""

    def __init__(self, sock: Any, deadline: float) -> None:
        self.sock, self.deadline = sock, deadline
        self.raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(left)
        count: int | None = self.raw.readinto(buffer)
        return count

    def close(self) -> None:
        self.raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, deadline: float, sock: Any, **options: Any) -> None:
        super().__init__(sock, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Deadlined(sock, deadline))


def _connection(kind: Any, deadline: float, host: str, **options: Any) -> Any:
    connection = kind(host, **options)
    connection.response_class = partial(_Response, deadline)
    return connection


class _Web(urllib.request.HTTPSHandler):
    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline = deadline

    def http_open(self, req: Any) -> Any:
        return self.do_open(partial(_connection, http.client.HTTPConnection, self.deadline), req)

    def https_open(self, req: Any) -> Any:
        return self.do_open(partial(_connection, http.client.HTTPSConnection, self.deadline), req)

    http_request = urllib.request.HTTPHandler.http_request


class _WebOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise MediaError(f"{req.full_url}: redirects to {newurl}, and only http and https are fetched")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, limits: Limits) -> bytes:
    """The body at `url`.

    Raises:
        MediaError: no answer, an error status, a redirect away from http(s), or a body cut short.
        LimitError: over `download_bytes` or `download_seconds`.
    """
    deadline = time.monotonic() + limits.download_seconds
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "panvec"})  # noqa: S310
        with _opener(deadline).open(request, timeout=limits.download_seconds) as response:
            return _body(response, url, deadline, limits)
    except TimeoutError as error:
        raise _too_slow(url, limits) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", None), TimeoutError):
            raise _too_slow(url, limits) from error
        raise MediaError(f"{url}: cannot be fetched ({error})") from error


def _opener(deadline: float) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _Web(deadline),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _WebOnly(),
    ):
        opener.add_handler(handler)
    return opener


def _body(response: http.client.HTTPResponse, url: str, deadline: float, limits: Limits) -> bytes:
    declared = response.length
    if declared is not None and declared > limits.download_bytes:
        raise _too_big(url, limits)
    body = bytearray()
    while piece := response.read1(1 << 16):
        body += piece
        if len(body) > limits.download_bytes:
            raise _too_big(url, limits)
        if time.monotonic() > deadline:
            raise _too_slow(url, limits)
    if declared is not None and len(body) < declared:
        raise MediaError(f"{url}: the connection ended after {len(body):,} of {declared:,} bytes: try again")
    return bytes(body)


def _too_big(url: str, limits: Limits) -> LimitError:
    return LimitError(
        f"{url}: over the limit of {limits.download_bytes:,} bytes: raise Limits.download_bytes, or download it yourself"
    )


def _too_slow(url: str, limits: Limits) -> LimitError:
    return LimitError(
        f"{url}: took longer than {limits.download_seconds:g} s: raise Limits.download_seconds, or download it yourself"
    )
