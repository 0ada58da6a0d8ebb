"""The vectors of a folder's files, kept on disk so that only what changed is embedded again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panvec.errors import MediaError, PanvecError
from panvec.media.formats import is_media_name
from panvec.media.kinds import detect
from panvec.models.embedder import Embedder, Span

_SAVE_SECONDS = 20.0
_VERSION = 1


@dataclass
class Entry:
    """A file of the folder: what it was when it was embedded, and its spans or the error that it gave."""

    size: int
    modified: int
    kind: str
    spans: list[Span]
    error: str | None = None


@dataclass(frozen=True)
class Hit:
    """A file found: its path in the folder, its kind, the cosine of its best span, and that span."""

    path: str
    kind: str
    score: float
    span: Span


class Folder:
    """The files below `root` and a vector for each of their spans, cached for one model.

    Args:
        root: the folder. Hidden files, links out of it and files of unknown kinds are left out.
        embedder: the model; each space id has a cache of its own.
        cache: where the vectors are kept; None keeps nothing.

    Raises:
        MediaError: `root` is no folder.
    """

    def __init__(self, root: Path, embedder: Embedder, cache: Path | None) -> None:
        if not root.is_dir():
            raise MediaError(f"{root} is no folder: name the folder to search in")
        self.root = root.resolve()
        self.embedder = embedder
        key = hashlib.sha256(f"{self.root}\0{embedder.space_id}".encode()).hexdigest()[:24]
        self._file = cache / f"{key}.npz" if cache else None
        self.entries: dict[str, Entry] = {}
        self.vectors: dict[str, NDArray[np.float32]] = {}
        self._load()

    def update(self, progress: Callable[[int, int, str], None] | None = None, *, again: bool = False) -> int:
        """Embed what is new or changed, forget what is gone; the number of files embedded.

        A file that cannot be embedded keeps its error and does not stop the others. What is done is saved every
        20 seconds, so an interrupted update goes on where it was. `progress` is told files done, files in all, and
        the file at work.
        """
        found = {str(path.relative_to(self.root)): path for path in self._walk()}
        for gone in set(self.entries) - set(found):
            del self.entries[gone], self.vectors[gone]
        stale = [name for name, path in found.items() if again or self._is_stale(name, path)]
        saved = time.monotonic()
        for done, name in enumerate(stale):
            if progress:
                progress(done, len(stale), name)
            self._embed(name, found[name])
            if time.monotonic() - saved > _SAVE_SECONDS:
                self._save()
                saved = time.monotonic()
        if progress:
            progress(len(stale), len(stale), "")
        self._save()
        return len(stale)

    def search(self, query: NDArray[np.float32], *, count: int = 10, kind: str | None = None) -> list[Hit]:
        """The files whose best span is nearest to the query `[dim]`, best first; equal scores by path."""
        hits = []
        for name, entry in self.entries.items():
            if entry.spans and kind in (None, entry.kind):
                scores = self.vectors[name] @ query
                best = int(scores.argmax())
                hits.append(Hit(name, entry.kind, float(scores[best]), entry.spans[best]))
        return sorted(hits, key=lambda hit: (-hit.score, hit.path))[:count]

    @property
    def errors(self) -> dict[str, str]:
        """Of the files that could not be embedded, why."""
        return {name: entry.error for name, entry in self.entries.items() if entry.error}

    def _walk(self) -> Iterator[Path]:
        for folder, folders, files in os.walk(self.root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                path = Path(folder) / name
                if not name.startswith(".") and is_media_name(name) and path.resolve().is_relative_to(self.root):
                    yield path

    def _is_stale(self, name: str, path: Path) -> bool:
        entry = self.entries.get(name)
        return entry is None or (entry.size, entry.modified) != _stamp(path)

    def _embed(self, name: str, path: Path) -> None:
        entry = Entry(*_stamp(path), kind="", spans=[])
        vectors = np.empty((0, self.embedder.dims[0]), np.float32)
        try:
            part = detect(path, self.embedder.limits)
            entry.kind = part.modality
            segments = self.embedder.embed_segments(part, task="document")
            vectors, entry.spans = np.stack([vector for vector, _ in segments]), [span for _, span in segments]
        except PanvecError as error:
            entry.error = str(error)
        self.entries[name], self.vectors[name] = entry, vectors

    def _load(self) -> None:
        if self._file is None or not self._file.exists():
            return
        try:
            with np.load(self._file, allow_pickle=False) as stored:
                index: dict[str, Any] = json.loads(str(stored["index"]))
                vectors, start = stored["vectors"], 0
                if index["version"] != _VERSION:
                    return
                for name, row in index["files"].items():
                    spans = [Span(**span) for span in row.pop("spans")]
                    self.entries[name] = Entry(**row, spans=spans)
                    self.vectors[name] = vectors[start : start + len(spans)]
                    start += len(spans)
        except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError):
            self.entries, self.vectors = {}, {}

    def _save(self) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        index = {"version": _VERSION, "root": str(self.root), "files": {n: asdict(e) for n, e in self.entries.items()}}
        vectors = [self.vectors[name] for name in self.entries] or [np.empty((0, self.embedder.dims[0]), np.float32)]
        handle, temporary = tempfile.mkstemp(dir=self._file.parent, suffix=".new")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, index=np.array(json.dumps(index)), vectors=np.concatenate(vectors))
            Path(temporary).replace(self._file)
        finally:
            Path(temporary).unlink(missing_ok=True)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def default_cache() -> Path:
    """`$PANVEC_CACHE`, else `panvec` in the user's cache folder."""
    if own := os.environ.get("PANVEC_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "panvec"
