"""The SQLite database in a server's state folder: one thread, one transaction a call, held by one server at a time."""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from panvec.errors import InputError, PanvecError
from panvec.server.errors import RequestError

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, mime_type TEXT NOT NULL, purpose TEXT NOT NULL,
    size INTEGER NOT NULL, sha256 TEXT NOT NULL, created REAL NOT NULL, expires REAL
);
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, file TEXT NOT NULL, name TEXT NOT NULL, mime_type TEXT NOT NULL,
    size INTEGER, created REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS batches (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, kind TEXT NOT NULL, model TEXT NOT NULL, name TEXT NOT NULL, source TEXT,
    metadata TEXT NOT NULL, state TEXT NOT NULL, problem TEXT, created REAL NOT NULL, updated REAL NOT NULL, ended REAL
);
CREATE TABLE IF NOT EXISTS rows (
    batch TEXT NOT NULL REFERENCES batches (id) ON DELETE CASCADE, number INTEGER NOT NULL, key TEXT NOT NULL,
    request TEXT NOT NULL, status INTEGER, response TEXT, PRIMARY KEY (batch, number)
);
CREATE INDEX IF NOT EXISTS open_rows ON rows (batch, number) WHERE status IS NULL;
"""


class Database:
    """The database of a state folder, which is made where it is missing.

    Raises:
        InputError: another server uses the folder. PanvecError: it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._connection = sqlite3.connect(folder / "state.sqlite", check_same_thread=False)
            self._connection.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;" + _SCHEMA
            )
        except BlockingIOError:
            raise InputError(f"{folder} is in use by another server: give each its own --state") from None
        except (OSError, sqlite3.Error) as error:
            raise PanvecError(f"{folder} cannot hold files and batches ({error}): give another --state") from error
        self._connection.row_factory = sqlite3.Row
        self._pool = ThreadPoolExecutor(1, "panvec-state")

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` gives, all of it in one transaction, on disk when this returns.

        Raises:
            RequestError: 507, the disk is full.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._transaction, work)

    def close(self) -> None:
        """Wait for what runs, and close."""
        self._pool.shutdown()
        self._connection.close()
        self._lock.close()

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with self._connection:
                return work(self._connection)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise RequestError(507, "the server's disk is full: try again later") from error
            raise
