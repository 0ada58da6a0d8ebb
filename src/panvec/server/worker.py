"""What embeds batches: a thread beside the event loop, or a process of its own that a broken medium may end."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from typing import Any, Protocol

from panvec.content import Content, Limits
from panvec.errors import MediaError
from panvec.models.embedder import Embedder
from panvec.server.batching import Query, Row
from panvec.tasks import Task

NICENESS = 10
"""How far a process of media stands back behind texts."""
_TRIES = 2
"""Processes that a batch may end before it is blamed for it: the first may have died of something else."""
_loaded: list[Embedder] = []


class Worker(Protocol):
    """Who embeds."""

    async def embed(self, queries: Sequence[Query]) -> list[Row]:
        """A vector or the error of each query."""
        ...

    async def count(self, content: Content) -> int:
        """The tokens that a content becomes, without a prompt's."""
        ...

    def close(self) -> None:
        """Wait for what runs, and end."""
        ...


def embed_batch(embedder: Embedder, queries: Sequence[Query]) -> list[Row]:
    """A full-size vector or the error of each query, the queries of a task together."""
    rows: dict[int, Row] = {}
    tasks: dict[Task | None, list[int]] = {}
    for index, query in enumerate(queries):
        tasks.setdefault(query.task, []).append(index)
    for task, indices in tasks.items():
        made = embedder.embed([queries[i].content for i in indices], task=task, on_error="return")
        rows.update(zip(indices, made, strict=True))
    return [rows[index] for index in range(len(queries))]


class Thread:
    """Embeds in one thread of this process."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._pool = ThreadPoolExecutor(1, "panvec")

    async def embed(self, queries: Sequence[Query]) -> list[Row]:
        """A vector or the error of each query."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, embed_batch, self._embedder, queries)

    async def count(self, content: Content) -> int:
        """The tokens that a content becomes, without a prompt's.

        Raises:
            PanvecError: it cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, count_tokens, self._embedder, content)

    def close(self) -> None:
        """Wait for what runs, and end."""
        self._pool.shutdown()


class Process:
    """Embeds in a process of its own, started when first needed and again when a medium has ended it."""

    def __init__(self, model: str, limits: Limits, threads: int) -> None:
        # Inherited: the threads of a BLAS, of which little is asked, may spin for ever in a process that stands back.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        self._arguments = (model, limits, threads)
        self._pool: ProcessPoolExecutor | None = None

    async def embed(self, queries: Sequence[Query]) -> list[Row]:
        """A vector or the error of each query.

        Raises:
            MediaError: one of the queries ended the process.
        """
        rows: list[Row] = await self._call(_embed_here, queries)
        return rows

    async def count(self, content: Content) -> int:
        """The tokens that a content becomes, without a prompt's.

        Raises:
            PanvecError: it cannot be read.
        """
        tokens: int = await self._call(_count_here, content)
        return tokens

    def close(self) -> None:
        """Wait for what runs, and end."""
        if self._pool is not None:
            self._pool.shutdown()

    async def _call(self, function: Any, argument: Any) -> Any:
        for _ in range(_TRIES):
            pool = self._pool = self._pool or ProcessPoolExecutor(1, get_context("spawn"), _load, self._arguments)
            try:
                return await asyncio.get_running_loop().run_in_executor(pool, function, argument)
            except BrokenProcessPool:
                if self._pool is pool:
                    self._pool = None
        raise MediaError("reading this input ends the process that reads media: it is damaged, or needs too much memory")


def _load(model: str, limits: Limits, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(NICENESS)
    _loaded.append(Embedder(model, threads=threads, limits=limits))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _embed_here(queries: Sequence[Query]) -> list[Row]:
    return embed_batch(_loaded[0], queries)


def _count_here(content: Content) -> int:
    return count_tokens(_loaded[0], content)


def count_tokens(embedder: Embedder, content: Content) -> int:
    """The tokens that a content becomes, without a prompt's."""
    return sum(part.tokens for part in embedder.describe(content).parts)
