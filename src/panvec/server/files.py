"""Uploaded files: bytes in the state folder, whole or not at all, and what is known of them in its database."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from panvec.errors import InputError
from panvec.server.database import Database
from panvec.server.errors import OverloadedError, RequestError

_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UPLOAD_SECONDS = 24 * 3600.0
_CHUNK = 1 << 20


@dataclass(frozen=True)
class File:
    """An uploaded file; times in seconds of the epoch, `expires` None for one that stays."""

    id: str
    owner: str
    name: str
    mime_type: str
    purpose: str
    size: int
    sha256: str
    created: float
    expires: float | None


@dataclass(frozen=True)
class Upload:
    """A file that is on its way, in pieces: `size` in bytes where it was declared."""

    id: str
    owner: str
    file: str
    name: str
    mime_type: str
    size: int | None
    created: float


class Files:
    """All uploaded files.

    Args:
        folder: the state folder.
        database: its database.
        most: bytes of all files together.
        seconds: for which a Gemini file is kept.
    """

    def __init__(self, folder: Path, database: Database, most: int, seconds: float) -> None:
        self._folder, self._partial = folder / "files", folder / "uploads"
        self._database, self._most, self.seconds = database, most, seconds
        for made in (self._folder, self._partial):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, file: File) -> Path:
        """Where its bytes are."""
        return self._folder / file.id

    async def get(self, id: str, owner: str) -> File:  # noqa: A002
        """A file of this owner.

        Raises:
            RequestError: 404, there is none, or it has expired.
        """
        found = await self._database.run(
            lambda db: db.execute("SELECT * FROM files WHERE id = ? AND owner = ?", (id, owner)).fetchone()
        )
        if found is None or (found["expires"] is not None and found["expires"] <= time.time()):
            raise RequestError(404, f"no file {id[:80]!r}: it was never there, was deleted, or has expired")
        return File(*found)

    async def page(self, owner: str, count: int, after: str | None) -> list[File]:
        """At most `count` files of this owner, the newest first, older than the file called `after`."""
        query = (
            "SELECT * FROM files WHERE owner = :owner AND (expires IS NULL OR expires > :now) AND (:after IS NULL OR "
            "(created, id) < (SELECT created, id FROM files WHERE id = :after)) ORDER BY created DESC, id DESC LIMIT :count"
        )
        given = {"owner": owner, "now": time.time(), "after": after, "count": count}
        return [File(*row) for row in await self._database.run(lambda db: db.execute(query, given).fetchall())]

    async def delete(self, id: str, owner: str) -> None:  # noqa: A002
        """Delete a file of this owner.

        Raises:
            RequestError: 404, there is none.
        """
        file = await self.get(id, owner)
        await self._database.run(lambda db: db.execute("DELETE FROM files WHERE id = ?", (file.id,)))
        self.path(file).unlink(missing_ok=True)

    async def begin(self, owner: str, file: str, name: str, mime_type: str, size: int | None) -> Upload:
        """Start an upload in pieces; `file` is the id that the file shall have ('' for a new one).

        Raises:
            InputError: an id that is none. RequestError: 409, the id is taken. OverloadedError: no room for `size` bytes.
        """
        file = file or secrets.token_hex(16)
        if not _ID.fullmatch(file):
            raise InputError(f"{file[:80]!r} is no id of a file: up to 64 lower-case letters, digits and dashes")
        await self.check_room(size or 0)
        upload = Upload(secrets.token_urlsafe(32), owner, file, name, mime_type, size, time.time())

        taken = "SELECT 1 FROM files WHERE id = ? UNION SELECT 1 FROM uploads WHERE file = ? AND owner != ?"

        def insert(db: sqlite3.Connection) -> bool:
            db.execute("DELETE FROM files WHERE id = ? AND expires <= ?", (file, upload.created))
            if db.execute(taken, (file, file, owner)).fetchone():
                return False
            db.execute("DELETE FROM uploads WHERE file = ?", (file,))
            db.execute("INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?)", tuple(vars(upload).values()))
            return True

        if not await self._database.run(insert):
            raise RequestError(409, f"there is a file {file} already: delete it, or leave the name out")
        return upload

    async def upload(self, id: str) -> Upload:  # noqa: A002
        """An upload that was begun.

        Raises:
            RequestError: 404, there is none.
        """
        found = await self._database.run(lambda db: db.execute("SELECT * FROM uploads WHERE id = ?", (id,)).fetchone())
        if found is None:
            raise RequestError(404, "no such upload: it was finished, or is older than a day")
        return Upload(*found)

    def received(self, upload: Upload) -> int:
        """The bytes of an upload that are on disk."""
        return self._size(upload.id)

    async def append(self, upload: Upload, offset: int | None, pieces: AsyncIterator[bytes]) -> int:
        """Write a stretch of an upload from `offset` on; the bytes that are there then.

        Raises:
            InputError: the offset is not where the upload stands, or more comes than was declared.
            RequestError: 507, the disk is full. OverloadedError: no room.
        """
        here = self.received(upload)
        if offset != here:
            raise InputError(f"the offset {offset} is not where this upload stands, {here}")
        most = here + await self.check_room(0) if upload.size is None else upload.size
        return await _write(self._partial / upload.id, pieces, most)

    async def finish(self, upload: Upload) -> File:
        """Make a file of an upload that is complete.

        Raises:
            InputError: fewer bytes came than were declared, or none.
        """
        partial = self._partial / upload.id
        size = self.received(upload)
        if not size or (upload.size is not None and size != upload.size):
            raise InputError(f"{size} bytes of {upload.size or 'a file'} have come: send the rest, then finalize")
        sha256 = await asyncio.to_thread(_sha256, partial)
        now = time.time()
        file = File(upload.file, upload.owner, upload.name, upload.mime_type, "gemini", size, sha256, now, now + self.seconds)
        await self.keep(file, partial, upload.id)
        return file

    async def add(self, owner: str, name: str, mime_type: str, purpose: str, pieces: AsyncIterator[bytes]) -> File:
        """A file that comes in one go.

        Raises:
            InputError: it is empty. RequestError: 507, the disk is full. OverloadedError: no room.
        """
        partial = self._partial / secrets.token_hex(16)
        size = await _write(partial, pieces, await self.check_room(0))
        if not size:
            raise InputError("the file is empty")
        sha256 = await asyncio.to_thread(_sha256, partial)
        file = File(f"file-{secrets.token_hex(12)}", owner, name, mime_type, purpose, size, sha256, time.time(), None)
        await self.keep(file, partial)
        return file

    async def keep(self, file: File, partial: Path, upload: str | None = None) -> None:
        """Make `partial` the bytes of `file`: on disk first, then under its name, then in the database."""
        await asyncio.to_thread(_settle, partial, self.path(file))

        def insert(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", tuple(vars(file).values()))
            db.execute("DELETE FROM uploads WHERE id = ?", (upload,))

        await self._database.run(insert)

    def partial(self, name: str) -> Path:
        """Where a file that the server writes itself is written before it is kept."""
        return self._partial / name

    async def discard(self, upload: Upload) -> None:
        """Forget an upload."""
        await self._database.run(lambda db: db.execute("DELETE FROM uploads WHERE id = ?", (upload.id,)))
        (self._partial / upload.id).unlink(missing_ok=True)

    async def check_room(self, size: int) -> int:
        """The bytes that there is room for, beside files and what uploads have declared.

        Raises:
            OverloadedError: fewer than `size`, or none.
        """
        query = "SELECT NULL, SUM(size) FROM files UNION ALL SELECT id, size FROM uploads"
        rows = await self._database.run(lambda db: db.execute(query).fetchall())
        stored = sum(max(size or 0, self._size(upload) if upload else 0) for upload, size in rows)
        room = self._most - stored
        if size > room or room <= 0:
            raise OverloadedError(
                f"files and uploads of {stored:,} bytes are stored, of at most {self._most:,}: delete some", 60
            )
        return room

    def _size(self, id: str) -> int:  # noqa: A002
        partial = self._partial / id
        return partial.stat().st_size if partial.exists() else 0

    async def tidy(self) -> None:
        """Delete what has expired, and bytes that no file or upload is known for."""
        now = time.time()

        def clean(db: sqlite3.Connection) -> tuple[set[str], set[str]]:
            db.execute("DELETE FROM files WHERE expires <= ?", (now,))
            db.execute("DELETE FROM uploads WHERE created <= ?", (now - _UPLOAD_SECONDS,))
            return tuple({row[0] for row in db.execute(f"SELECT id FROM {name}")} for name in ("files", "uploads"))  # type: ignore[return-value]  # noqa: S608

        files, uploads = await self._database.run(clean)
        for folder, known in ((self._folder, files), (self._partial, uploads)):
            for path in folder.iterdir():
                if path.name not in known and path.stat().st_mtime < now - 3600:
                    path.unlink(missing_ok=True)


async def _write(path: Path, pieces: AsyncIterator[bytes], most: int) -> int:
    """Append pieces to a file; its size then. What does not fit is taken back."""
    with path.open("ab") as out:
        before = size = out.tell()
        try:
            async for piece in pieces:
                size += len(piece)
                if size > most:
                    raise InputError(f"over the {most:,} bytes that were declared, or that there is room for")
                await asyncio.to_thread(out.write, piece)
            await asyncio.to_thread(out.flush)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            with suppress(OSError):
                out.truncate(before)
            raise RequestError(507, "the server's disk is full: try again later, or delete files") from error
    return size


def _settle(partial: Path, path: Path) -> None:
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
