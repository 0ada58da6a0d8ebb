"""Fetching a URL: http and https only, also after redirects, within the download limits."""

import http.client
import io
import threading
import time
import urllib.parse
import urllib.request
from typing import Any

from panvec.content import Limits
from panvec.errors import LimitError, MediaError


class _Deadlined(io.RawIOBase):
    """What comes through a socket until `deadline`, however slowly: its own timeout only limits each wait."""

    def __init__(self, deadline: float, sock: Any) -> None:
        self.deadline, self.sock = deadline, sock
        self.raw = sock.makefile("rb", buffering=0)

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002
        """What `HTTPResponse` asks of a socket."""
        return io.BufferedReader(self)

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


class _Web(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline = deadline

    def do_open(self, http_class: Any, req: Any, **options: Any) -> Any:
        def connection(host: str, **more: Any) -> Any:
            made = http_class(host, **more)
            made.response_class = self._response
            return made

        return super().do_open(connection, req, **options)

    def _response(self, sock: Any, **options: Any) -> http.client.HTTPResponse:
        timed: Any = _Deadlined(self.deadline, sock)
        return http.client.HTTPResponse(timed, **options)


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
    seconds = min(limits.download_seconds, threading.TIMEOUT_MAX)
    deadline = time.monotonic() + seconds
    opener = urllib.request.build_opener(_Web(deadline), _WebOnly())
    opener.addheaders = [("User-Agent", "panvec")]
    try:
        with opener.open(url, timeout=seconds) as response:
            return _body(response, url, limits)
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", error), TimeoutError):
            raise LimitError(
                f"{url}: took longer than {limits.download_seconds:g} s: raise Limits.download_seconds, or download it yourself"
            ) from error
        raise MediaError(f"{url}: cannot be fetched ({error})") from error


def _body(response: http.client.HTTPResponse, url: str, limits: Limits) -> bytes:
    declared, body = response.length or 0, bytearray()
    while declared <= limits.download_bytes and (piece := response.read1(1 << 16)):
        body += piece
        declared = max(declared, len(body))
    if declared > limits.download_bytes:
        raise LimitError(
            f"{url}: over the limit of {limits.download_bytes:,} bytes: raise Limits.download_bytes, or download it yourself"
        )
    if len(body) < declared:
        raise MediaError(f"{url}: the connection ended after {len(body):,} of {declared:,} bytes: try again")
    return bytes(body)
