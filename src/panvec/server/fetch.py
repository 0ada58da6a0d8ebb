"""URLs in requests: refused, unless their host is allowed; and then never an address that is not public."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Collection, Iterable
from urllib.parse import urljoin, urlsplit

import httpcore

from panvec.content import Limits
from panvec.errors import LimitError, MediaError
from panvec.server.errors import RequestError

_REDIRECTS = 5


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet: not private, loopback, link-local, multicast or reserved."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    return ip.is_global and not ip.is_multicast and (mapped is None or is_public(str(mapped)))


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to the very address that was looked at: a name that answers otherwise a moment later changes nothing."""

    def __init__(self, allowed: Callable[[str], bool]) -> None:
        self._allowed = allowed
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to a public address of `host`."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(map(self._allowed, addresses)):
            raise RequestError(400, f"{host} is not a public address of the internet: nothing is fetched from it")
        return await self._backend.connect_tcp(addresses[0], port, timeout, local_address, socket_options)


class Fetcher:
    """Fetches URLs of the hosts that are allowed.

    Args:
        hosts: the allowed hosts, in lower case.
        limits: of bytes and seconds.
        allowed: which addresses may be connected to.
    """

    def __init__(self, hosts: Collection[str], limits: Limits, allowed: Callable[[str], bool] = is_public) -> None:
        self._hosts = {host.lower() for host in hosts}
        self._limits = limits
        self._allowed = allowed

    async def fetch(self, url: str) -> tuple[bytes, str]:
        """The body at `url` and its media type.

        Raises:
            RequestError: its host, or one that it redirects to, is not allowed or not public.
            MediaError: it cannot be fetched.
            LimitError: over `download_bytes` or `download_seconds`.
        """
        self._check(url)
        try:
            async with asyncio.timeout(self._limits.download_seconds):
                return await self._fetch(url)
        except TimeoutError:
            raise LimitError(f"{_short(url)}: took longer than {self._limits.download_seconds:g} s: send its bytes") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError, ValueError) as error:
            raise MediaError(f"{_short(url)}: cannot be fetched ({type(error).__name__}): send its bytes") from None

    async def _fetch(self, url: str) -> tuple[bytes, str]:
        backend = _Pinned(self._allowed)
        async with httpcore.AsyncConnectionPool(ssl.create_default_context(), network_backend=backend) as pool:
            for _ in range(_REDIRECTS + 1):
                self._check(url)
                async with pool.stream("GET", url, headers={"User-Agent": "panvec", "Accept-Encoding": "identity"}) as response:
                    headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
                    if response.status in (301, 302, 303, 307, 308):
                        url = urljoin(url, headers.get("location", ""))
                        continue
                    if response.status != 200:
                        raise MediaError(f"{_short(url)}: answers {response.status}")
                    return await self._body(url, response), headers.get("content-type", "")
        raise MediaError(f"{_short(url)}: redirects more than {_REDIRECTS} times")

    async def _body(self, url: str, response: httpcore.Response) -> bytes:
        body = bytearray()
        async for piece in response.aiter_stream():
            body += piece
            if len(body) > self._limits.download_bytes:
                raise LimitError(f"{_short(url)}: over the limit of {self._limits.download_bytes:,} bytes")
        return bytes(body)

    def _check(self, url: str) -> None:
        try:
            parsed = urlsplit(url)
            host = (parsed.hostname or "").lower()
        except ValueError:
            raise RequestError(400, f"{_short(url)} is no URL") from None
        if parsed.scheme not in ("http", "https"):
            raise RequestError(400, f"{_short(url)} is neither http(s) nor base64 data: send data:TYPE;base64,DATA")
        if host not in self._hosts:
            raise RequestError(
                400,
                f"{_short(url)}: this server fetches nothing from {host!r}: send the bytes, or start it with --allow-url-host",
            )


def _short(url: str) -> str:
    return url.partition("?")[0][:120]
