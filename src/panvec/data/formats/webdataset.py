"""WebDataset: tars whose neighbouring members with one key are a sample, streamed and never unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from panvec.data.formats.columns import KEY
from panvec.data.formats.files import shards, split_of, used
from panvec.data.formats.rows import Bad, Row, Rows, Table, first_columns, json_object
from panvec.data.formats.spec import SourceSpec
from panvec.errors import InputError

_MODALITIES = {
    "image": "jpg jpeg png webp gif bmp tif tiff avif heic",
    "audio": "wav flac mp3 ogg oga opus m4a aac",
    "video": "mp4 webm mkv mov avi",
    "document": "pdf",
    "text": "txt text caption",
    "label": "cls",
}
_COLUMN = {suffix: column for column, suffixes in _MODALITIES.items() for suffix in suffixes.split()}
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_MOST_EXTENSION = 1_000_000
"""Bytes of a header that tarfile reads into memory whole."""
_MOST_MEMBERS = 1_000
"""Of a sample."""
_KINDS = {tarfile.LNKTYPE: "a hard link", tarfile.SYMTYPE: "a symbolic link", tarfile.FIFOTYPE: "a pipe"}


def webdataset(spec: SourceSpec, path: Path) -> Table:
    """One tar, a folder of them, or shards.

    A sample's columns: `image`, `audio`, `video`, `document`, `text` and `label` by the suffixes of its members, the fields
    of its `json`, and any other member as bytes under its suffix.
    """
    files = shards(path, ".tar")
    return Table(
        name=str(path),
        folder=path if path.is_dir() else path.parent,
        columns=first_columns(str(path), chain.from_iterable(_samples(file, spec.medium_bytes) for file in files), 1),
        whole=False,
        rows=lambda _: chain.from_iterable(_samples(file, spec.medium_bytes) for file in used(files, spec)),
    )


@dataclass
class _Sample:
    """Members that share a key, as they come."""

    key: str
    most: int
    values: dict[str, Any] = field(default_factory=dict)
    size: int = 0
    members: int = 0
    why: str = ""
    """What is wrong with it."""

    def add(self, archive: tarfile.TarFile, info: tarfile.TarInfo, suffix: str) -> None:
        self.size += info.size
        self.members += 1
        if self.size > self.most:
            self.why = self.why or f"over the limit of {self.most:,} bytes: raise medium_bytes"
        elif self.members > _MOST_MEMBERS:
            self.why = self.why or f"over the limit of {_MOST_MEMBERS:,} members"
        elif not self.why:
            file = archive.extractfile(info)
            self._keep(suffix, file.read() if file else b"")

    def _keep(self, suffix: str, data: bytes) -> None:
        column = _COLUMN.get(suffix, suffix)
        try:
            values = json_object(data) if suffix == "json" else {column: _decoded(column, data)}
        except (InputError, UnicodeDecodeError) as error:
            self.why = f"its {suffix}: {error}"
            return
        if twice := values.keys() & self.values.keys():
            self.why = f"two members give {', '.join(sorted(twice))}"
        self.values |= values

    def row(self, shard: Path) -> Row | Bad:
        where = f"{shard}, sample {self.key}"
        if self.why:
            return Bad(where, self.why)
        return Row(where, self.values | {KEY: self.key}, split_of(shard.name))


def _samples(shard: Path, most: int) -> Rows:
    sample: _Sample | None = None
    member = "its beginning"
    try:
        with shard.open("rb") as file, tarfile.open(fileobj=file, mode="r|", tarinfo=_Header) as archive:
            for info in _members(archive, shard.stat().st_size):
                member = info.name
                if why := _fault(info):
                    yield Bad(f"{shard}, member {info.name!r}", why)
                    continue
                key, suffix = _split(info.name)
                if sample and sample.key != key:
                    yield sample.row(shard)
                    sample = None
                sample = sample or _Sample(key, most)
                sample.add(archive, info, suffix)
    except (tarfile.TarError, OSError, EOFError) as error:
        if sample:
            yield Bad(f"{shard}, sample {sample.key}", "may lack members: the tar cannot be read after it")
        yield Bad(f"{shard}, after {member!r}", f"the rest of the tar cannot be read ({error})")
        return
    if sample:
        yield sample.row(shard)


def _members(archive: tarfile.TarFile, size: int) -> Iterator[tarfile.TarInfo]:
    """The members but folders, of a tar of `size` bytes."""
    while (info := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined] # tarfile would keep them all
        if archive.offset > size:
            raise tarfile.ReadError(f"{info.name!r} says it has {info.size:,} bytes, more than there are")
        if not info.isdir():
            yield info


class _Header(tarfile.TarInfo):
    """A header that is an error where tarfile would take it for the end, or read as much as it says into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise
            raise tarfile.ReadError(f"damaged or cut off: {error}") from error
        if info.size < 0 or (info.type in _EXTENSIONS and info.size > _MOST_EXTENSION):
            raise tarfile.ReadError(f"a header says {info.size:,} bytes")
        return info


def _fault(info: tarfile.TarInfo) -> str:
    """What is wrong with a member, or ''."""
    path = PurePosixPath(info.name)
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.issparse():
        return f"is {_KINDS.get(info.type, 'no ordinary file')}"
    if path.is_absolute() or ".." in path.parts:
        return "its name leaves the tar"
    return "" if path.name.partition(".")[0] else "its name has no key before the first dot"


def _split(name: str) -> tuple[str, str]:
    """A member's key, and its suffix, which begins after the first dot."""
    path = PurePosixPath(name)
    key, _, suffix = path.name.partition(".")
    return str(path.with_name(key)), suffix.lower()


def _decoded(column: str, data: bytes) -> Any:
    return data.decode("utf-8-sig").strip() if column in ("text", "label") else data
