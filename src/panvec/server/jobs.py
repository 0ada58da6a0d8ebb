"""Running batches in the background: one after the other, a few rows at a time among what clients wait for."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panvec.errors import InputError, PanvecError
from panvec.server.batches import Batch, Batches, Row
from panvec.server.errors import OverloadedError, RequestError, body_of, status_of
from panvec.server.files import File, Files

LOG = logging.getLogger("panvec.server")
_TOGETHER = 8
"""Rows between two looks at the queue: a client waits for no more of them."""
_MOST_ROWS = 50_000
_OUTPUT_SECONDS = 30 * 24 * 3600.0
_PAGE = 256
_IDLE_SECONDS = 600.0


@dataclass(frozen=True)
class Kind:
    """What the batches of a protocol are like."""

    row_of: Callable[[int, dict[str, Any]], Row]
    """A row of a line of its file. Raises InputError."""
    answer: Callable[[Batch, str], Awaitable[dict[str, Any]]]
    """The response to a row's request. Raises PanvecError."""
    line: Callable[[Batch, Row], dict[str, Any]]
    """What the output file holds of a row that ran."""
    google: bool
    """Whether errors are Google's, and stand among the good rows."""


class Jobs:
    """Runs the batches that are in the database, from where they were."""

    def __init__(self, batches: Batches, files: Files, kinds: Mapping[str, Kind]) -> None:
        self._batches, self._files, self._kinds = batches, files, kinds
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End when the rows that run have run; the others run after the next start."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    def wake(self) -> None:
        """Say that there is a new batch."""
        self._wake.set()

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                batch = await self._batches.next()
                await (self._idle() if batch is None else self._step(batch))
            except (RequestError, OSError) as error:
                LOG.warning("batches wait", extra={"fields": {"reason": str(error)}})
                await self._sleep(30)

    async def _idle(self) -> None:
        await self._files.tidy()
        await self._sleep(_IDLE_SECONDS)

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _step(self, batch: Batch) -> None:
        try:
            await self._advance(batch)
        except InputError as error:
            await self._batches.end(batch, "failed", str(error))
        except (RequestError, OSError):
            raise
        except Exception:
            LOG.exception("batch failed", extra={"fields": {"batch": batch.id}})
            await self._batches.end(batch, "failed", "the server failed: see its log")

    async def _advance(self, batch: Batch) -> None:
        """One step: read its file, or run some rows, or write what it gave."""
        kind = self._kinds[batch.kind]
        if batch.state == "new":
            await self._fill(batch, kind)
            return
        rows = await self._batches.waiting(batch, _TOGETHER) if batch.state == "running" else []
        if not rows:
            await self._finish(batch, kind)
            return
        settled = await asyncio.gather(*(self._row(batch, kind, row) for row in rows))
        await self._batches.settle(batch, settled)

    async def _fill(self, batch: Batch, kind: Kind) -> None:
        try:
            source = await self._files.get(str(batch.source), batch.owner)
        except RequestError as error:
            raise InputError(str(error)) from None
        rows = await asyncio.to_thread(lambda: list(_rows(self._files.path(source), kind)))
        await self._batches.fill(batch, rows)

    async def _row(self, batch: Batch, kind: Kind, row: Row) -> tuple[int, int, str]:
        while True:
            try:
                return row.number, 200, _json(await kind.answer(batch, row.request))
            except OverloadedError as error:
                await asyncio.sleep(error.retry_after or 1)
            except PanvecError as error:
                status = status_of(error)
                return row.number, status, _json(body_of(status, str(error), google=kind.google))

    async def _finish(self, batch: Batch, kind: Kind) -> None:
        """Write the output files, then end: a server that dies between writes the same again."""
        if batch.source is not None:
            good = await self._write(batch, batch.output, kind, lambda row: kind.google or row.status == 200)
            bad = None if kind.google else await self._write(batch, batch.errors, kind, lambda row: row.status != 200)
            metadata = json.loads(batch.metadata) | {"output": good, "errors": bad}
            await self._batches.note(batch, metadata)
        await self._batches.end(batch, "cancelled" if batch.state == "cancelling" else "done")

    async def _write(self, batch: Batch, id: str, kind: Kind, wanted: Callable[[Row], bool]) -> str | None:  # noqa: A002
        partial = self._files.partial(id)
        after, size = -1, 0
        with partial.open("wb") as out:
            while rows := await self._batches.settled(batch, after, _PAGE):
                after = rows[-1].number
                lines = b"".join(_json(kind.line(batch, row)).encode() + b"\n" for row in rows if wanted(row))
                size += len(lines)
                await asyncio.to_thread(out.write, lines)
        if not size:
            partial.unlink()
            return None
        now = time.time()
        file = File(id, batch.owner, f"{id}.jsonl", "application/jsonl", "batch_output", size, "", now, now + _OUTPUT_SECONDS)
        await self._files.keep(file, partial)
        return id


def _rows(path: Path, kind: Kind) -> Iterator[Row]:
    """The rows of a JSONL file.

    Raises:
        InputError: a line that is none, named by its number; none at all, or too many.
    """
    number = 0
    with path.open("rb") as lines:
        for at, line in enumerate(lines, 1):
            if not line.strip():
                continue
            if number >= _MOST_ROWS:
                raise InputError(f"over {_MOST_ROWS:,} lines: split the file")
            try:
                row = kind.row_of(number, json.loads(line))
                row.key.encode()
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise InputError(f"line {at}: is no request of this batch ({type(error).__name__}: {error})") from None
            yield row
            number += 1
    if not number:
        raise InputError("the file holds no requests")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
