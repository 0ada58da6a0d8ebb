"""The vectors of a folder's files in one file on disk: whole or not there, never half written, never trusted blindly."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panvec.models.embedder import Embedder, Span

_VERSION = 3
_ABANDONED_SECONDS = 3600.0


@dataclass
class Entry:
    """A file as it was when it was embedded: the vectors `[spans, dim]` of its spans, or the error that it gave."""

    size: int
    modified: int
    kind: str
    spans: list[Span]
    vectors: NDArray[np.float32]
    error: str | None = None


class Store:
    """The entries of one folder for one model, in one file of `cache`; None keeps nothing.

    A second process writes the same file whole or not at all: the last one wins, and what it lost is embedded again.
    """

    def __init__(self, cache: Path | None, root: Path, embedder: Embedder) -> None:
        key = hashlib.sha256(os.fsencode(f"{root}\0{embedder.space_id}")).hexdigest()[:24]
        self.path = cache / f"{key}.npz" if cache else None
        self.root, self.dim = root, embedder.dims[0]
        self.circumstances = f"{_installed()} {embedder.limits}"

    def load(self) -> tuple[dict[str, Entry], str | None]:
        """The entries by path, and what is to be said where there should be some and are none.

        Errors are forgotten when other packages are installed, or other limits set, than those that gave them: they may
        have brought the missing decoder.
        """
        if self.path is None:
            return {}, None
        try:
            return self._read(self.path), None
        except (FileNotFoundError, NotADirectoryError):
            return {}, None
        except OSError as error:
            return {}, f"the vectors in {self.path} cannot be read ({error.strerror or error}): the folder was embedded again"
        except Exception:  # noqa: BLE001 - a damaged file raises anything, and is made anew
            return {}, f"the stored vectors in {self.path} are damaged or of another version: the folder was embedded again"

    def save(self, entries: dict[str, Entry]) -> str | None:
        """Replace the file; why it was not, where the disk does not allow it."""
        if self.path is None:
            return None
        rows = {name: _row(entry) for name, entry in entries.items()}
        index = {"version": _VERSION, "root": str(self.root), "circumstances": self.circumstances, "files": rows}
        vectors = np.concatenate([np.empty((0, self.dim), np.float32), *(entry.vectors for entry in entries.values())])
        try:
            _replace(self.path, index=np.frombuffer(json.dumps(index).encode(), np.uint8), vectors=vectors)
        except OSError as error:
            return f"the vectors cannot be kept in {self.path.parent} ({error.strerror or error}): set PANVEC_CACHE"
        return None

    def _read(self, path: Path) -> dict[str, Entry]:
        with np.load(path, allow_pickle=False) as stored:
            index: dict[str, Any] = json.loads(stored["index"].tobytes())
            vectors = stored["vectors"]
        if index["version"] != _VERSION:
            raise ValueError("written by another version of panvec")
        spans = {name: [Span(**span) for span in row.pop("spans")] for name, row in index["files"].items()}
        if vectors.dtype != np.float32 or vectors.shape != (sum(map(len, spans.values())), self.dim):
            raise ValueError("its vectors and its index do not fit")
        entries, start = {}, 0
        for name, row in index["files"].items():
            end = start + len(spans[name])
            entries[name] = Entry(**row, spans=spans[name], vectors=vectors[start:end])
            start = end
        if index["circumstances"] == self.circumstances:
            return entries
        return {name: entry for name, entry in entries.items() if entry.error is None}


def default_cache() -> Path:
    """`$PANVEC_CACHE`, else `panvec` in the user's cache folder."""
    if own := os.environ.get("PANVEC_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "panvec"


def _row(entry: Entry) -> dict[str, Any]:
    row = {name: value for name, value in vars(entry).items() if name != "vectors"}
    return row | {"spans": [asdict(span) for span in entry.spans]}


def _replace(path: Path, **arrays: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}.", suffix=".new")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove what processes that were killed while they wrote `path` have left."""
    for left in path.parent.glob(f"{path.stem}.*.new"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                left.unlink()


def _installed() -> str:
    """A hash of the names and versions of the packages that are installed."""
    folders = [Path(folder) for folder in sys.path if Path(folder).is_dir()]
    names = sorted({found.name for folder in folders for found in folder.glob("*.dist-info")})
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:24]
