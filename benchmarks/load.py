"""Load on a server over loopback, in a closed loop: each client sends its next request when it has the answer to the last."""

import asyncio
import base64
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

MEDIA = Path(__file__).parents[1] / "examples" / "media"
QUERIES = [f"who sent radio message number {n} over the Atlantic ocean" for n in range(10, 74)]
"""Texts of 16 tokens, a query's prompt among them."""
PATIENCE = 120.0
"""Seconds after which a server that does not answer hangs."""


@dataclass
class Run:
    """What clients saw: seconds of each request, and how often each status came."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    took: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.took

    def milliseconds(self, percent: float) -> float:
        return float(np.percentile(self.seconds, percent)) * 1000


def median(runs: Sequence[Run]) -> tuple[float, float, float]:
    """Requests a second, median and 99th percentile in ms: each the median over runs."""
    values = zip(*((run.rate, run.milliseconds(50), run.milliseconds(99)) for run in runs), strict=True)
    rate, middle, slow = (statistics.median(each) for each in values)
    return rate, middle, slow


def request(path: str, body: object) -> bytes:
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def medium(name: str, mime_type: str) -> bytes:
    """A request for a file of the examples in Gemini's protocol."""
    blob = {"inlineData": {"mimeType": mime_type, "data": base64.b64encode((MEDIA / name).read_bytes()).decode()}}
    return request("/v1beta/models/nano:embedContent", {"content": {"parts": [blob]}})


def queries(path: str, model: str, prompt: str = "") -> Callable[[], bytes]:
    """The queries in turn, as requests of OpenAI's protocol."""
    made = itertools.cycle([request(path, {"model": model, "input": prompt + text}) for text in QUERIES])
    return lambda: next(made)


class Client:
    """A bare HTTP client that costs little of the cores that it shares with the server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, data: bytes) -> int:
        self.streams = self.streams or await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        writer.write(data)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        if b"connection: close" in head or head.startswith(b"http/1.0"):
            self.close()
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


async def closed_loop(port: int, clients: int, seconds: float, next_request: Callable[[], bytes]) -> Run:
    """What `clients` clients see for some seconds.

    Raises:
        TimeoutError: a request had no answer after `PATIENCE`.
    """
    run = Run()
    begun = time.perf_counter()

    async def one() -> None:
        client = Client(port)
        while time.perf_counter() - begun < seconds:
            start = time.perf_counter()
            run.statuses[await asyncio.wait_for(client.send(next_request()), PATIENCE)] += 1
            run.seconds.append(time.perf_counter() - start)
        client.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    run.took = time.perf_counter() - begun
    return run


@contextmanager
def serving(command: Sequence[str | Path]) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A server that takes `--port`, on a free one.

    Raises:
        RuntimeError: it ended, or did not listen within `PATIENCE`; with the end of what it said.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryFile() as said:
        environment = os.environ | {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
        process = subprocess.Popen([*command, "--port", str(port)], stderr=said, stdout=said, env=environment)
        try:
            if not _listens(port, process):
                said.seek(max(0, said.tell() - 2000))
                raise RuntimeError(f"{command[0]} does not listen:\n{said.read().decode(errors='replace')}")
            yield port, process
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def panvec_serving(*options: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    with tempfile.TemporaryDirectory() as state:
        command = [sys.executable, "-m", "panvec", "serve", "--state", state, *options]
        with serving(command) as served:
            yield served


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return True
        time.sleep(0.1)
    return False
