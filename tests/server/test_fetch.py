"""URLs in requests: what is fetched, and what never is."""

import asyncio
import http.server
import threading

import pytest

from panvec import Limits
from panvec.errors import LimitError, MediaError
from panvec.server.errors import RequestError
from panvec.server.fetch import Fetcher, is_public


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        body = b"x" * (2000 if self.path == "/large" else 5)
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("content-type", "image/png")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


LIMITS = Limits(download_bytes=1000, download_seconds=5)


def fetch(url, hosts=("localhost",), allowed=lambda address: True):
    return asyncio.run(Fetcher(hosts, LIMITS, allowed).fetch(url))


def test_an_allowed_host_is_fetched_from(site):
    assert fetch(f"http://localhost:{site.server_port}/a.png") == (b"xxxxx", "image/png")


def test_redirects_among_allowed_hosts_are_followed(site):
    assert fetch(f"http://localhost:{site.server_port}/to//a.png")[0] == b"xxxxx"


def test_a_redirect_to_another_host_is_refused(site):
    with pytest.raises(RequestError, match="fetches nothing from '127.0.0.1'"):
        fetch(f"http://localhost:{site.server_port}/to/http://127.0.0.1:{site.server_port}/a.png")
    assert len(site.asked) == 1


@pytest.mark.parametrize("path", ["/to/file:///etc/passwd", "/to/ftp://localhost/x"])
def test_a_redirect_to_another_scheme_is_refused(site, path):
    with pytest.raises(RequestError, match="neither http"):
        fetch(f"http://localhost:{site.server_port}{path}")


def test_an_allowed_name_of_a_loopback_address_is_refused_before_anything_is_sent(site):
    with pytest.raises(RequestError, match="not a public address"):
        fetch(f"http://localhost:{site.server_port}/a.png", allowed=is_public)
    assert not site.asked


def test_the_address_that_was_looked_at_is_the_one_connected_to(site, monkeypatch):
    """A name that resolves to a public address first and to loopback next is asked for once."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]

    async def getaddrinfo(self, host, port, **options):
        return [(2, 1, 6, "", (address, port)) for address in answers.pop(0)]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    seen = []
    with pytest.raises(RequestError):
        fetch(f"http://localhost:{site.server_port}/", allowed=lambda address: seen.append(address))
    assert seen == ["93.184.216.34"]
    assert not site.asked


def test_limits_and_errors(site):
    with pytest.raises(LimitError, match="1,000 bytes"):
        fetch(f"http://localhost:{site.server_port}/large")
    with pytest.raises(MediaError, match="404"):
        fetch(f"http://localhost:{site.server_port}/missing")
    with pytest.raises(MediaError, match="redirects more than"):
        fetch(f"http://localhost:{site.server_port}/to//to//to//to//to//to//to//a")
    with pytest.raises(MediaError, match="cannot be fetched"):
        fetch("http://localhost:1/")


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1",
     "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "255.255.255.255"],
)  # fmt: skip
def test_addresses_that_are_never_connected_to(address):
    assert not is_public(address)
