"""Input made to cost much: the answer comes soon and within the limits."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from samples import tone, video_bytes

from panvec.content import Document, Image, Limits, Video
from panvec.errors import LimitError, MediaError
from panvec.media.document import read_document
from panvec.media.source import resolve
from panvec.media.text import is_html, visible_text
from panvec.media.video import read_video

LIMITS = Limits()
MANY = 100_000


@contextmanager
def within(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


@pytest.mark.parametrize(
    "page",
    [
        "<!---->" * 580,
        ("<!-- a -->" + " " * 50) * 60,
        "<html>" + "<svg>" * MANY + "</p>" * MANY,
        "<html>" + "<!--x>" * MANY,
        "<html>" + "<![CDATA[x>" * MANY,
        "<html>" + "</" * MANY,
        "<html>" + "<?" * MANY,
        "<html>" + "<?" * MANY + ">",
        "<html>" + "<script>" * MANY,
        "<html>" + "<a b='\">" * MANY,
        "<html>" + "<title>" * MANY,
    ],
    ids=lambda page: page[:20],
)
def test_malformed_html_takes_no_time(page: str) -> None:
    with within(5), suppress(MediaError):
        list(read_document(Document(page.encode()), LIMITS))


@pytest.mark.parametrize(
    ("page", "seen"),
    [
        ("<html>a<!-- b -->c", "ac"),
        ("<html>a<!-->b<!-- c --!>d", "abd"),
        ("<html><!--[if IE]>old<![endif]-->new<![if !IE]>er<![endif]>", "newer"),
        ("<html><script>x = '<!--'</script>a<!-- b -->c", "ac"),
        ("<html><!-- <script> -->a<script>b</script>", "a"),
        ("<html><STYLE>p {}</STYLE >a", "a"),
        ("<html>a<!-- never ends", "a never ends"),
        ("<html>a<script>never ends", "a"),
        ("<html><svg><title>hidden</title></svg>a <p>b &lt; c", "a\nb < c"),
        ("<html><title>T</title>1 > 0 &amp; 0 < 1", "T\n1 > 0 & 0 < 1"),
    ],
)
def test_what_a_reader_sees(page: str, seen: str) -> None:
    assert visible_text(page) == seen


def test_what_may_come_before_html() -> None:
    assert is_html(' \n<?xml version="1.0"?> <!-- a --><!-- b -->\n<!DOCTYPE html>')
    assert not is_html("<!-- a -->" * 3 + "# Markdown")
    assert not is_html("<!-- <html>")


def test_seconds_of_sound_are_limited_as_those_of_pictures() -> None:
    for container in ("mp4", "matroska", "mpegts"):
        with pytest.raises(LimitError, match="over the limit of 5 s"):
            list(read_video(Video(video_bytes(container, times=[0, 0.5], sound=tone(25))), replace(LIMITS, video_seconds=5)))


def test_a_short_transport_stream_is_read() -> None:
    clips = list(read_video(Video(video_bytes("mpegts", times=[0, 0.5], sound=tone(2))), LIMITS))
    assert sum(len(clip.frames) for clip in clips) >= 1


def test_a_timestamp_far_away_does_not_go_on_for_ever() -> None:
    with within(10), pytest.raises(LimitError, match="over the limit"):
        list(read_video(Video(_sound_that_jumps(1_000_000)), replace(LIMITS, video_seconds=600)))


def _sound_that_jumps(seconds: int) -> bytes:
    """A live Matroska, of no declared length, in which the sound continues `seconds` later."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska", options={"live": "1"}) as output:
        film = output.add_stream("mpeg4", rate=10)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        track = output.add_stream("aac", rate=44_100, layout="mono")
        for index in range(20):
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, 10)
            output.mux(film.encode(picture))
        output.mux(film.encode(None))
        for index in range(80):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 44_100, index * 1024, Fraction(1, 44_100)
            for packet in track.encode(sound):
                packet.pts += (index > 40) * seconds * 44_100
                packet.dts = packet.pts
                output.mux(packet)
    return file.getvalue()


@pytest.fixture
def slow_site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], str]]:
    """Makes a URL that answers with the bytes given, and from then on with one more every 50 ms."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    done = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def serve(answer: bytes) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            try:
                connection.sendall(answer)
                while not done.wait(0.05):
                    connection.sendall(b"x")
            except OSError:
                pass

    def site(answer: bytes) -> str:
        threading.Thread(target=serve, args=(answer,), daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/"

    with server:
        yield site
        done.set()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"]
)
def test_a_slow_download_ends_in_time(slow_site: Callable[[bytes], str], answer: bytes) -> None:
    with within(3), pytest.raises(LimitError, match="download_seconds"):
        resolve(Image(slow_site(answer), allow_network=True), replace(LIMITS, download_seconds=0.5))
