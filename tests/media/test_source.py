import base64
import http.server
import io
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote_from_bytes

import numpy as np
import pytest
from samples import image_bytes, quarters

from panvec.content import Audio, Document, Image, Limits, Video
from panvec.errors import LimitError, MediaError
from panvec.media.image import read_image
from panvec.media.source import resolve

PNG = image_bytes("PNG")
LIMITS = Limits()


@pytest.mark.parametrize("make", [Image, Audio, Video, Document])
def test_nothing_to_read_is_an_error_that_names_it(make: type, tmp_path: Path) -> None:
    (tmp_path / "empty.bin").touch()
    os.mkfifo(tmp_path / "pipe")
    for source, said in [
        (tmp_path / "absent.bin", "no such file"),
        (tmp_path, "directory"),
        (tmp_path / "empty.bin", "empty"),
        (tmp_path / "pipe", "pipe"),
        ("/dev/zero", "device"),
        ("a\0b", "null byte"),
        (b"", "empty"),
        (io.BytesIO(), "empty"),
        ("data:,", "empty"),
        ("ftp://host/file", "http"),
    ]:
        with pytest.raises(MediaError, match=said) as caught:
            resolve(make(source), LIMITS)
        assert isinstance(source, bytes | io.BytesIO) or str(source)[:20] in str(caught.value)


def test_every_source_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(PNG)
    packed = base64.b64encode(PNG).decode()
    shifted = io.BytesIO(b"junk" + PNG)
    shifted.seek(4)
    for source in [
        path,
        str(path),
        PNG,
        bytearray(PNG),
        memoryview(PNG),
        shifted,
        path.open("rb"),
        f"data:image/png;base64,{packed}",
        f"data:image/png;base64,{packed.rstrip('=')}",
        f"DATA:image/png;base64,{quote_from_bytes(packed.encode())}",
        f"data:;base64,{packed.replace('+', '-').replace('/', '_')}",
        f"data:image/png,{quote_from_bytes(PNG)}",
    ]:
        blob = resolve(Image(source), LIMITS)
        with blob.open() as file:
            assert file.read() == PNG
        assert (blob.head(8), blob.size) == (PNG[:8], len(PNG))
        assert quarters(read_image(Image(source if not hasattr(source, "read") else PNG), LIMITS)) == "rgbw"


def test_a_path_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "sparse.wav"
    with path.open("wb") as file:
        file.truncate(3_000_000_000)
    assert resolve(Audio(path), LIMITS).data is None


@pytest.mark.parametrize("source", [PNG, io.BytesIO(PNG), "data:;base64," + base64.b64encode(PNG).decode()])
def test_byte_limit_names_limit_and_way_out(source: object) -> None:
    with pytest.raises(LimitError, match=r"over the limit of 50.*Limits"):
        resolve(Image(source), replace(LIMITS, image_bytes=50))


def test_file_objects_are_read_no_further_than_the_limit() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def read(self, n: int = -1) -> bytes:
            self.given += n
            return b"x" * n

    endless = Endless()
    with pytest.raises(LimitError):
        resolve(Image(endless), replace(LIMITS, image_bytes=1000))
    assert endless.given == 1001


def test_unfit_file_objects(tmp_path: Path) -> None:
    closed = io.BytesIO(PNG)
    closed.close()
    with pytest.raises(MediaError, match="closed"):
        resolve(Image(closed), LIMITS)
    with pytest.raises(MediaError, match="binary mode"):
        resolve(Document(io.StringIO("text")), LIMITS)


def test_damaged_data_uri() -> None:
    for uri in ("data:image/png;base64", "data:;base64,####", "data:;base64,A"):
        with pytest.raises(MediaError, match=r"data: URI|base64"):
            resolve(Image(uri), LIMITS)


class _Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif self.path == "/moved":
            self.send_response(301)
            self.send_header("Location", "/picture.png")
            self.end_headers()
        elif self.path == "/picture.png":
            self._body(PNG, len(PNG))
        elif self.path == "/short":
            self._body(PNG[:50], len(PNG))
        elif self.path == "/undeclared":
            self._body(PNG, None)
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x")
                if self.server.done.wait(0.1):  # type: ignore[attr-defined]
                    return
        else:
            self.send_error(404)

    def _body(self, body: bytes, length: int | None) -> None:
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        server.done = threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.done.set()  # type: ignore[attr-defined]
        server.shutdown()


def test_a_url_is_fetched_only_when_allowed(site: str) -> None:
    with pytest.raises(MediaError, match="allow_network=True"):
        read_image(Image(f"{site}/picture.png"), LIMITS)
    for page in ("picture.png", "moved", "undeclared"):
        assert quarters(read_image(Image(f"{site}/{page}", allow_network=True), LIMITS)) == "rgbw"


@pytest.mark.parametrize(
    ("page", "error", "said"),
    [("absent", MediaError, "404"), ("away", MediaError, "redirect|file"), ("short", MediaError, "ended after 50")],
)
def test_failed_downloads(site: str, page: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        resolve(Image(f"{site}/{page}", allow_network=True), LIMITS)


def test_download_limits(site: str) -> None:
    for page in ("picture.png", "undeclared"):
        with pytest.raises(LimitError, match="download_bytes"):
            resolve(Image(f"{site}/{page}", allow_network=True), replace(LIMITS, download_bytes=20))
    with pytest.raises(LimitError, match="download_seconds"):
        resolve(Image(f"{site}/slow", allow_network=True), replace(LIMITS, download_seconds=0.3))


def test_no_server_is_an_error() -> None:
    with pytest.raises(MediaError, match="cannot be fetched"):
        resolve(Image("http://127.0.0.1:9/x", allow_network=True), LIMITS)
    with pytest.raises(MediaError, match="cannot be fetched"):
        resolve(Image("http://[broken/x", allow_network=True), LIMITS)


def test_arrays_have_no_bytes() -> None:
    with pytest.raises(MediaError, match="no bytes"):
        resolve(Image(np.zeros((2, 2), np.uint8)), LIMITS)
