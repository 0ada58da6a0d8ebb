"""What breaks clients, media, disks and processes: answered with an error that says so, and the server lives on."""

import base64
import io
import os
import signal
import socket
import struct
import threading
import time
import zlib
from pathlib import Path

import pytest
from running_server import running
from same_vectors import same

from panvec import Image


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server in one process, with short patience."""
    with running(tmp_path_factory.mktemp("small"), "--media-processes", "0", "--body-seconds", "2") as server:
        yield server
        assert server.process.poll() is None
        assert not [line for line in server.log if line.get("trace")]


def raw(server, data, seconds=30.0):
    """What comes back for bytes on a socket, until the server closes it."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(data)
        pieces = []
        try:
            while piece := connection.recv(65536):
                pieces.append(piece)
        except ConnectionResetError:
            pass
        return b"".join(pieces)


def embed_image(http, data, mime_type="image/png"):
    blob = {"inlineData": {"mimeType": mime_type, "data": base64.b64encode(data).decode() if isinstance(data, bytes) else data}}
    return http.post("/v1beta/models/nano:embedContent", json={"content": {"parts": [blob]}})


def alive(server):
    with server.http() as http:
        return http.post("/v1/embeddings", json={"model": "nano", "input": "still there?"}).status_code == 200


def png_of(width, height):
    """A PNG of a few kilobytes that unpacks to width x height pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"\0" * min((width // 8 + 1) * height, 100_000_000), 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_body_that_is_cut_off(small):
    request = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
    host, port = small.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(request)
    assert alive(small)


def test_a_body_that_does_not_come(small):
    answer = raw(
        small, b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n{"
    )
    assert answer.startswith(b"HTTP/1.1 408")


def test_headers_that_do_not_come(small):
    begun = time.monotonic()
    assert raw(small, b"POST /v1/embeddings HTTP/1.1\r\nHost: loc") == b""
    assert time.monotonic() - begun < 9


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b'{"model": 1}'])
@pytest.mark.parametrize(
    "path", ["/v1/embeddings", "/v1beta/models/nano:batchEmbedContents", "/v1/batches", "/upload/v1beta/files"]
)
def test_bodies_that_are_no_request(small, path, body):
    with small.http() as http:
        answer = http.post(path, content=body)
    if path.startswith("/upload") and body in (b"", b'{"model": 1}'):
        assert answer.headers["x-goog-upload-status"] == "active"
    else:
        assert answer.status_code == 400
        assert answer.json()["error"]["message"]


def test_garbage_instead_of_base64_and_of_media(small, media):
    with small.http() as http:
        garbage = embed_image(http, "@@@@")
        wrong = embed_image(http, (media / "rooster.wav").read_bytes())
        broken = embed_image(http, (media / "guitar.png").read_bytes()[:2000])
    assert [answer.status_code for answer in (garbage, wrong, broken)] == [400, 400, 400]
    assert "base64" in garbage.json()["error"]["message"]


def test_a_decompression_bomb_is_not_unpacked(small):
    bomb = png_of(60_000, 60_000)
    assert len(bomb) < 1_000_000
    with small.http() as http:
        answer = embed_image(http, bomb)
    assert answer.status_code == 400
    assert "limit" in answer.json()["error"]["message"]


def test_200_megabytes(small):
    with small.http() as http:
        before = memory(small)
        answer = http.post(
            "/v1/embeddings", content=(b" " * 1_000_000 for _ in range(200)), headers={"content-length": "200000000"}
        )
    assert answer.status_code == 413
    assert memory(small) - before < 100_000_000


def memory(server):
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_a_flood_of_wrong_keys(serve, tmp_path):
    from panvec.server.keys import new_key

    key = new_key(tmp_path / "keys", "right")
    codes = []

    def ask(server, worker):
        with server.http() as http:
            codes.extend(http.get(f"/v1/models?key={worker}-{n}").status_code for n in range(50))

    with serve("--keys", tmp_path / "keys", "--media-processes", "0") as server:
        threads = [threading.Thread(target=ask, args=(server, worker)) for worker in range(8)]
        for thread in threads:
            thread.start()
        with server.http() as http:
            assert http.get("/v1/models", headers={"x-goog-api-key": key}).status_code == 200
        for thread in threads:
            thread.join()
    assert codes == [401] * 400


def test_a_disk_that_is_full(serve, tmp_path):
    """The largest file that the server may write stands in for the room on its disk."""
    import resource

    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))  # noqa: E731
    with serve("--media-processes", "0", preexec_fn=limit) as server:
        client, state = server.gemini(), tmp_path / "state"
        with pytest.raises(Exception, match="disk is full"):
            client.files.upload(file=io.BytesIO(b"x" * 5_000_000), config={"mime_type": "audio/wav"})
        with server.http() as http:
            answer = http.post("/v1/files", files={"file": b"x" * 5_000_000}, data={"purpose": "batch"})
        assert answer.status_code == 507
        assert not list((state / "files").iterdir())
        assert client.files.upload(file=io.BytesIO(b"small"), config={"mime_type": "text/plain"}).size_bytes == 5
        assert alive(server)


def test_a_media_process_that_is_killed_is_started_again(server, embedder, media):
    picture = (media / "guitar.png").read_bytes()
    with server.http() as http:
        assert embed_image(http, picture).status_code == 200
        pid = server.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        killed = [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
        assert killed
        for child in killed:
            os.kill(child, signal.SIGKILL)
        answer = embed_image(http, picture)
    same([answer.json()["embedding"]["values"]], embedder.embed(Image(media / "guitar.png")))


def test_media_processes_end_with_a_server_that_is_killed(serve, media):
    with serve() as server:
        with server.http() as http:
            embed_image(http, (media / "guitar.png").read_bytes())
        pid = server.process.pid
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        server.stop(signal.SIGKILL)
        end = time.monotonic() + 20
        while any(_runs(child) for child in children):
            assert time.monotonic() < end
            time.sleep(0.1)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False
