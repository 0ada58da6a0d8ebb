"""Where a medium's bytes are: a path, bytes, a file object, a data: URI or (only when allowed) a URL, all as one `Blob`."""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
import stat
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from panvec.content import Limits, Medium
from panvec.errors import LimitError, MediaError

_CHUNK = 1 << 20
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)


@dataclass(frozen=True)
class Blob:
    """The bytes of one medium, in a file (`path`) or in memory (`data`); `size` in bytes, never 0."""

    name: str
    path: Path | None
    data: bytes | None
    size: int

    def open(self) -> BinaryIO:
        """A new binary reader at the first byte.

        Raises:
            MediaError: the file has gone or may not be read.
        """
        if self.data is not None:
            return io.BytesIO(self.data)
        assert self.path is not None  # noqa: S101
        try:
            return self.path.open("rb")
        except OSError as error:
            raise MediaError(f"{self.name}: cannot be opened ({error.strerror or error})") from error

    def head(self, n: int = 4096) -> bytes:
        """The first `n` bytes (fewer where there are fewer)."""
        if self.data is not None:
            return self.data[:n]
        with self.open() as file:
            return self._read(file, n)

    def read(self) -> bytes:
        """All bytes."""
        if self.data is not None:
            return self.data
        with self.open() as file:
            return self._read(file, -1)

    def _read(self, file: BinaryIO, n: int) -> bytes:
        try:
            return file.read(n)
        except OSError as error:
            raise MediaError(f"{self.name}: cannot be read ({error.strerror or error})") from error


def resolve(medium: Medium, limits: Limits) -> Blob:
    """The bytes of `medium`, found and within the byte limit of its modality. A path is not read, only looked at.

    A file object is read from where it stands to its end, into memory.

    Raises:
        MediaError: missing, empty, a directory, a pipe or a device, unreadable, a malformed data: URI, or a URL without
            `allow_network`.
        LimitError: more bytes than the limit of the modality, or a download over its own limits.
    """
    source, name = medium.source, medium.name
    most: int = getattr(limits, f"{medium.modality}_bytes")
    if isinstance(source, str) and source[:5].lower() == "data:":
        return _in_memory(name, _data_uri(source, name, most), most)
    if isinstance(source, str) and (scheme := _SCHEME.match(source)):
        return _in_memory(name, _fetched(source, scheme[1].lower(), medium, limits), most)
    if isinstance(source, str | os.PathLike):
        return file_blob(source, most)
    if isinstance(source, bytes | bytearray | memoryview):
        return _in_memory(name, bytes(source), most)
    if hasattr(source, "read"):
        return _in_memory(name, _drained(source, name, most), most)
    raise MediaError(f"{name}: a {type(source).__name__} has no bytes to read")


def file_blob(path: str | os.PathLike[str], most: int) -> Blob:
    """The regular file at `path`, of 1 to `most` bytes.

    Raises:
        MediaError: missing, empty, unreadable, or no regular file.
        LimitError: more than `most` bytes.
    """
    name = os.fsdecode(path)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise MediaError(f"{name}: is a directory: give the files in it")
        if not stat.S_ISREG(status.st_mode):
            raise MediaError(f"{name}: is a pipe, a socket or a device: copy it into a file first, or give its bytes")
        with open(path, "rb"):
            pass
    except FileNotFoundError:
        raise MediaError(f"{name}: no such file") from None
    except (OSError, ValueError) as error:
        raise MediaError(f"{name}: cannot be opened ({getattr(error, 'strerror', None) or error})") from error
    check_size(name, status.st_size, most)
    return Blob(name, Path(name), None, status.st_size)


def check_size(name: str, size: int, most: int) -> None:
    """Nothing, when `size` is 1 to `most` bytes.

    Raises:
        MediaError: 0 bytes.
        LimitError: more than `most` bytes.
    """
    if not size:
        raise MediaError(f"{name}: is empty (0 bytes)")
    if size > most:
        raise LimitError(
            f"{name}: has {size:,} bytes, over the limit of {most:,}: raise the `..._bytes` limit in Limits, or shrink it"
        )


def _in_memory(name: str, data: bytes, most: int) -> Blob:
    check_size(name, len(data), most)
    return Blob(name, None, data, len(data))


def _data_uri(uri: str, name: str, most: int) -> bytes:
    header, comma, body = uri.partition(",")
    if not comma:
        raise MediaError(f"{name}: a data: URI needs a comma before its data")
    if len(body) > 4 * most + 16:
        raise LimitError(f"{name}: over the limit of {most:,} bytes: raise the `..._bytes` limit in Limits, or shrink it")
    raw = urllib.parse.unquote_to_bytes(body)
    if not header.lower().endswith(";base64"):
        return raw
    packed = b"".join(raw.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error as error:
        raise MediaError(f"{name}: its base64 is damaged ({error})") from error


def _fetched(url: str, scheme: str, medium: Medium, limits: Limits) -> bytes:
    if scheme not in ("http", "https"):
        raise MediaError(f"{medium.name}: only http and https URLs can be fetched, not {scheme}: download it and give the path")
    if not medium.allow_network:
        kind = type(medium).__name__
        raise MediaError(f"{medium.name}: is a URL, and nothing is fetched unasked: {kind}(url, allow_network=True) permits it")
    from panvec.media.download import fetch

    return fetch(url, limits)


def _drained(file: Any, name: str, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while size <= most:
        try:
            piece = file.read(min(_CHUNK, most + 1 - size))
        except (OSError, ValueError) as error:
            raise MediaError(f"{name}: reading the file object failed ({error})") from error
        if not piece:
            break
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise MediaError(f"{name}: the file object gives {type(piece).__name__}, not bytes: open it in binary mode ('rb')")
        pieces.append(bytes(piece))
        size += len(piece)
    return b"".join(pieces)
