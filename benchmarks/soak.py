"""Texts, pictures and sounds with 5 % malformed requests for a long time: `python benchmarks/soak.py --seconds 600`.

Exits with 1 where there was a 5xx, or where memory grew by more than `--growth` after the first minute (of short runs: half).
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from load import QUERIES, Run, closed_loop, medium, panvec_serving, request


def memory(pid: int) -> float:
    """Resident megabytes of a process and its children."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 + sum(memory(int(child)) for child in children)


def mix(seed: int) -> Callable[[], bytes]:
    """Requests at random: 65 % texts, 25 % pictures, 5 % sounds, 5 % malformed."""
    chance = np.random.default_rng(seed)
    pictures = [medium("dog-ball.jpg", "image/jpeg"), medium("pigeon.png", "image/png")]
    sounds = [medium("rooster.wav", "audio/wav")]
    malformed = [
        request("/v1/embeddings", {"model": "nano"}),
        request("/v1beta/models/nano:embedContent", {"content": {"parts": [{"text": 3}]}}),
        medium("dog-bark.ogg", "image/png"),
    ]

    def choose() -> bytes:
        draw = chance.random()
        if draw < 0.65:
            text = " ".join(chance.choice(QUERIES, chance.integers(1, 12)))
            return request("/v1/embeddings", {"model": "nano", "input": text})
        kind = pictures if draw < 0.9 else sounds if draw < 0.95 else malformed
        return kind[int(chance.integers(len(kind)))]

    return choose


async def soak(port: int, pid: int, clients: int, seconds: float) -> tuple[Run, list[float]]:
    """What clients saw, and the memory in MB at 120 moments."""
    samples: list[float] = []

    async def watch() -> None:
        while True:
            samples.append(memory(pid))
            await asyncio.sleep(seconds / 120)

    watcher = asyncio.create_task(watch())
    run = await closed_loop(port, clients, seconds, mix(0))
    watcher.cancel()
    return run, samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--growth", type=float, default=0.05, help="of memory that is allowed")
    arguments = parser.parse_args()
    with panvec_serving() as (port, process):
        run, samples = asyncio.run(soak(port, process.pid, arguments.clients, arguments.seconds))
    settled = samples[round(len(samples) * min(0.5, 60 / arguments.seconds)) :]
    growth = max(settled) / settled[0] - 1
    print(f"{len(run.seconds)} requests in {run.took:.0f} s, p99 {run.milliseconds(99):.0f} ms, statuses {dict(run.statuses)}")
    print(f"memory {settled[0]:.0f} MB, later at most {max(settled):.0f} MB ({growth:+.1%})")
    sys.exit(any(status >= 500 for status in run.statuses) or growth > arguments.growth)


if __name__ == "__main__":
    main()
