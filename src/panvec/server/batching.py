"""Dynamic batching: what waits while a batch runs becomes the next batch, in turns between requests, within bounds."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from panvec.content import Content
from panvec.errors import PanvecError
from panvec.models.embedder import Vector
from panvec.server.errors import OverloadedError, RequestError
from panvec.tasks import Task

Row: TypeAlias = Vector | PanvecError


@dataclass(frozen=True)
class Query:
    """A content to embed for a task; `cost` is its size in characters, as texts are batched."""

    content: Content
    task: Task | None = None
    cost: int = 1


Runner: TypeAlias = Callable[[Sequence[Query]], Awaitable[list[Row]]]
"""Embeds a batch: a full-size vector or the error of each."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How much a lane takes at once, and how much may wait before it."""

    items: int
    """Contents in a batch."""
    cost: int = 1 << 62
    """Summed cost of a batch (a single content may exceed it)."""
    waiting: int
    """Contents that wait."""
    seconds: float = 60.0
    """The longest that a request waits to begin."""


@dataclass(eq=False)
class _Job:
    """A request's contents in one lane: those that wait, and the rows of those that ran."""

    waiting: deque[tuple[int, Query]]
    rows: list[Row | None]
    done: asyncio.Future[None]
    left: int
    begun: bool = False
    queued: float = field(default_factory=time.monotonic)

    def settle(self, index: int, row: Row) -> None:
        self.rows[index] = row
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)


class Lane:
    """A queue of one kind of contents, and who embeds them.

    Args:
        name: what its metrics are called.
        runners: each runs one batch at a time.
        bounds: of a batch and of the queue.
        observe: called with the size of each batch and the seconds that it took.
    """

    def __init__(
        self, name: str, runners: Sequence[Runner], bounds: Bounds, observe: Callable[[str, int, float], None] | None = None
    ) -> None:
        self.name, self.bounds = name, bounds
        self._runners = runners
        self._observe = observe
        self._jobs: deque[_Job] = deque()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._seconds_each = 0.01

    @property
    def waiting(self) -> int:
        """Contents that wait."""
        return sum(len(job.waiting) for job in self._jobs)

    def start(self) -> None:
        """Begin to serve, in the running event loop."""
        self._tasks = [asyncio.create_task(self._serve(run)) for run in self._runners]

    async def stop(self) -> None:
        """End at once; what still waits is not answered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def submit(self, queries: Sequence[Query]) -> list[Row]:
        """A vector or the error of each query. A caller that is cancelled takes what still waits along.

        Raises:
            OverloadedError: too much is waiting, or nothing of this began in time.
            RequestError: more than may ever wait.
        """
        self._check_room(len(queries))
        loop = asyncio.get_running_loop()
        job = _Job(deque(enumerate(queries)), [None] * len(queries), loop.create_future(), len(queries))
        self._jobs.append(job)
        self._wake.set()
        expiry = loop.call_later(self.bounds.seconds, self._expire, job)
        try:
            await job.done
        finally:
            expiry.cancel()
            self._drop(job)
        return [row for row in job.rows if row is not None]

    def _check_room(self, count: int) -> None:
        most = self.bounds.waiting
        if count > most:
            raise RequestError(
                400, f"{count} {self.name} inputs in one request are over the limit of {most}: send fewer at once"
            )
        if self.waiting + count > most:
            raise self._overloaded()

    def _overloaded(self) -> OverloadedError:
        seconds = min(60.0, max(1.0, self.waiting * self._seconds_each / len(self._runners)))
        return OverloadedError(f"{self.waiting} {self.name} inputs are waiting already: try again in {seconds:.0f} s", seconds)

    def _expire(self, job: _Job) -> None:
        if not job.begun and not job.done.done():
            job.done.set_exception(self._overloaded())

    def _drop(self, job: _Job) -> None:
        job.waiting.clear()
        if job in self._jobs:
            self._jobs.remove(job)

    async def _serve(self, run: Runner) -> None:
        while True:
            while not self._jobs:
                self._wake.clear()
                await self._wake.wait()
            batch = self._take()
            begun = time.monotonic()
            rows = await _outcomes(run, [query for _, _, query in batch])
            seconds = time.monotonic() - begun
            self._seconds_each += 0.1 * (seconds / len(batch) - self._seconds_each)
            if self._observe:
                self._observe(self.name, len(batch), seconds)
            for (job, index, _), row in zip(batch, rows, strict=True):
                job.settle(index, row)

    def _take(self) -> list[tuple[_Job, int, Query]]:
        """The next batch: one content of each request in turn, so that a large request does not hold up small ones."""
        batch: list[tuple[_Job, int, Query]] = []
        cost = 0
        while self._jobs and len(batch) < self.bounds.items:
            job = self._jobs[0]
            cost += job.waiting[0][1].cost
            if batch and cost > self.bounds.cost:
                break
            job.begun = True
            batch.append((job, *job.waiting.popleft()))
            self._jobs.rotate(-1)
            if not job.waiting:
                self._jobs.remove(job)
        return batch


async def _outcomes(run: Runner, queries: list[Query]) -> list[Row]:
    """What `run` gives; a batch that fails as a whole is run again one by one, so that each answers for itself only."""
    try:
        return await run(queries)
    except Exception as error:  # noqa: BLE001
        if len(queries) == 1:
            return [error if isinstance(error, PanvecError) else _unexpected(error)]
    return [(await _outcomes(run, [query]))[0] for query in queries]


def _unexpected(error: Exception) -> PanvecError:
    failure = PanvecError(f"{type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
