"""Batches in the database: rows that are asked for, and what became of each, exactly once."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from panvec.server.database import Database
from panvec.server.errors import RequestError

OPEN = ("new", "running", "cancelling")
_PAGE = 100


@dataclass(frozen=True)
class Row:
    """A row of a batch: the client's key, its request as JSON, and once it ran, its status (HTTP) and response as JSON."""

    number: int
    key: str
    request: str
    status: int | None
    response: str | None


@dataclass(frozen=True)
class Batch:
    """A batch; `source` is the file its rows are in, `state` one of new, running, cancelling, done, failed, cancelled."""

    id: str
    owner: str
    kind: str
    model: str
    name: str
    source: str | None
    metadata: str
    state: str
    problem: str | None
    created: float
    updated: float
    ended: float | None

    @property
    def output(self) -> str:
        """The id of the file of its good rows, or of all of them."""
        return f"{self.id}-output"

    @property
    def errors(self) -> str:
        """The id of the file of its bad rows, where they have one."""
        return f"{self.id}-errors"


@dataclass(frozen=True)
class Counts:
    """The rows of a batch."""

    total: int
    good: int
    bad: int


class Batches:
    """All batches of a server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        owner: str,
        kind: str,
        model: str,
        *,
        name: str = "",
        source: str | None,
        metadata: Any = None,
        rows: Iterable[Row] = (),
    ) -> Batch:
        """A new batch, whose rows are given, or in the file `source`."""
        now = time.time()
        state = "new" if source is not None else "running"
        id = f"batch-{secrets.token_hex(12)}"  # noqa: A001
        batch = Batch(id, owner, kind, model, name, source, json.dumps(metadata or {}), state, None, now, now, None)

        def insert(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", tuple(vars(batch).values()))
            _insert_rows(db, batch, rows)

        await self._database.run(insert)
        return batch

    async def get(self, id: str, owner: str | None, kind: str | None = None) -> Batch:  # noqa: A002
        """A batch of this owner (None: of any) and kind.

        Raises:
            RequestError: 404, there is none.
        """
        found = await self._database.run(lambda db: db.execute("SELECT * FROM batches WHERE id = ?", (id,)).fetchone())
        if found is None or owner not in (None, found["owner"]) or kind not in (None, found["kind"]):
            raise RequestError(404, f"no batch {id[:80]!r}")
        return Batch(*found)

    async def page(self, owner: str, kind: str, count: int, after: str | None) -> list[Batch]:
        """At most `count` batches, the newest first, older than the one called `after`."""
        query = (
            "SELECT * FROM batches WHERE owner = :owner AND kind = :kind AND (:after IS NULL OR "
            "(created, id) < (SELECT created, id FROM batches WHERE id = :after)) ORDER BY created DESC, id DESC LIMIT :count"
        )
        given = {"owner": owner, "kind": kind, "after": after, "count": min(count, _PAGE + 1)}
        return [Batch(*row) for row in await self._database.run(lambda db: db.execute(query, given).fetchall())]

    async def counts(self, batch: Batch) -> Counts:
        """How many rows there are, and what became of them."""
        query = "SELECT COUNT(*), COALESCE(SUM(status = 200), 0), COALESCE(SUM(status != 200), 0) FROM rows WHERE batch = ?"
        return Counts(*await self._database.run(lambda db: db.execute(query, (batch.id,)).fetchone()))

    async def next(self) -> Batch | None:
        """The oldest batch that is not at its end."""
        query = "SELECT * FROM batches WHERE state IN ('new', 'running', 'cancelling') ORDER BY created, id LIMIT 1"
        found = await self._database.run(lambda db: db.execute(query).fetchone())
        return None if found is None else Batch(*found)

    async def fill(self, batch: Batch, rows: Iterable[Row]) -> None:
        """Put the rows of its file into a new batch, and let it run: all of this, or nothing."""

        def insert(db: sqlite3.Connection) -> None:
            _insert_rows(db, batch, rows)
            db.execute(
                "UPDATE batches SET state = 'running', updated = ? WHERE id = ? AND state = 'new'", (time.time(), batch.id)
            )

        await self._database.run(insert)

    async def waiting(self, batch: Batch, count: int) -> list[Row]:
        """The next rows that did not run yet."""
        query = "SELECT number, key, request, NULL, NULL FROM rows WHERE batch = ? AND status IS NULL ORDER BY number LIMIT ?"
        return [Row(*row) for row in await self._database.run(lambda db: db.execute(query, (batch.id, count)).fetchall())]

    async def settle(self, batch: Batch, settled: Iterable[tuple[int, int, str]]) -> None:
        """Keep the status and response of rows (number, status, response). A row that has one keeps it."""
        given = [(status, response, batch.id, number) for number, status, response in settled]
        query = "UPDATE rows SET status = ?, response = ? WHERE batch = ? AND number = ? AND status IS NULL"

        def update(db: sqlite3.Connection) -> None:
            db.executemany(query, given)
            db.execute("UPDATE batches SET updated = ? WHERE id = ?", (time.time(), batch.id))

        await self._database.run(update)

    async def settled(self, batch: Batch, after: int, count: int) -> list[Row]:
        """At most `count` rows that ran, in order, from behind number `after`."""
        query = "SELECT number, key, '', status, response FROM rows WHERE batch = ? AND number > ? AND status IS NOT NULL "
        query += "ORDER BY number LIMIT ?"
        return [
            Row(*row) for row in await self._database.run(lambda db: db.execute(query, (batch.id, after, count)).fetchall())
        ]

    async def cancel(self, batch: Batch) -> None:
        """Ask that no more rows run."""
        query = "UPDATE batches SET state = 'cancelling', updated = ? WHERE id = ? AND state IN ('new', 'running')"
        await self._database.run(lambda db: db.execute(query, (time.time(), batch.id)))

    async def end(self, batch: Batch, state: str, problem: str | None = None) -> None:
        """Set the last state of a batch that is not at its end."""
        query = "UPDATE batches SET state = ?, problem = ?, updated = ?, ended = ? WHERE id = ? AND ended IS NULL"
        now = time.time()
        await self._database.run(lambda db: db.execute(query, (state, problem, now, now, batch.id)))

    async def note(self, batch: Batch, metadata: dict[str, Any]) -> None:
        """Replace the metadata of a batch."""
        query, given = "UPDATE batches SET metadata = ? WHERE id = ?", (json.dumps(metadata), batch.id)
        await self._database.run(lambda db: db.execute(query, given))

    async def delete(self, batch: Batch) -> None:
        """Delete a batch and its rows."""
        await self._database.run(lambda db: db.execute("DELETE FROM batches WHERE id = ?", (batch.id,)))


def _insert_rows(db: sqlite3.Connection, batch: Batch, rows: Iterable[Row]) -> None:
    values: Iterator[Any] = ((batch.id, row.number, row.key, row.request, row.status, row.response) for row in rows)
    db.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", values)
