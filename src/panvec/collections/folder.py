"""A folder to search: its files embedded once, again when they change, and ranked by their best span."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panvec.collections.store import Entry, Store, default_cache
from panvec.errors import MediaError, PanvecError
from panvec.media.formats import is_media_name
from panvec.media.kinds import detect
from panvec.models.embedder import Embedder, Span

__all__ = ["Folder", "Hit", "default_cache", "media_files"]

_SAVE_SECONDS = 20.0


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
        embedder: the model; each space id has a cache of its own. Files that failed under other limits are tried again.
        cache: where the vectors are kept; None keeps nothing.

    Raises:
        MediaError: `root` is no folder.
    """

    def __init__(self, root: Path, embedder: Embedder, cache: Path | None) -> None:
        if not root.is_dir():
            raise MediaError(f"{root} is no folder: name the folder to search in")
        self.root = root.resolve()
        self.embedder = embedder
        self._store = Store(cache, self.root, embedder)
        self.entries, note = self._store.load()
        self.notes: list[str] = [note] if note else []

    def update(
        self,
        progress: Callable[[int, int, str], None] | None = None,
        *,
        again: bool = False,
        agree: Callable[[list[Path]], None] | None = None,
    ) -> int:
        """Embed what is new or changed, forget what is gone; the number of files embedded.

        A file that cannot be embedded keeps its error and does not stop the others. What is done is saved every
        20 seconds and when an interrupt ends it, and the next update goes on from there. `progress` is told files
        done, files in all, and the file at work. `agree` is asked once which files will be embedded, and may raise.
        """
        found = {str(path.relative_to(self.root)): path for path in media_files(self.root)}
        gone = set(self.entries) - set(found)
        for name in gone:
            del self.entries[name]
        stale = [name for name, path in found.items() if again or self._is_stale(name, path)]
        if agree and stale:
            agree([found[name] for name in stale])
        try:
            self._embed_all(stale, found, progress)
        finally:
            if stale or gone:
                self._save()
        return len(stale)

    def search(self, query: NDArray[np.float32], *, count: int = 10, kind: str | None = None) -> list[Hit]:
        """The files whose best span is nearest to the query `[dim]`, best first; equal scores by path."""
        hits = []
        for name, entry in self.entries.items():
            if entry.spans and kind in (None, entry.kind):
                scores = entry.vectors @ query
                best = int(scores.argmax())
                hits.append(Hit(name, entry.kind, float(scores[best]), entry.spans[best]))
        return sorted(hits, key=lambda hit: (-hit.score, hit.path))[:count]

    @property
    def errors(self) -> dict[str, str]:
        """Of the files that could not be embedded, why."""
        return {name: entry.error for name, entry in sorted(self.entries.items()) if entry.error}

    def _embed_all(self, names: list[str], found: dict[str, Path], progress: Callable[[int, int, str], None] | None) -> None:
        saved = time.monotonic()
        for done, name in enumerate(names):
            if progress:
                progress(done, len(names), name)
            self.entries[name] = self._embed(found[name])
            if time.monotonic() - saved > _SAVE_SECONDS:
                self._save()
                saved = time.monotonic()
        if progress:
            progress(len(names), len(names), "")

    def _is_stale(self, name: str, path: Path) -> bool:
        entry = self.entries.get(name)
        if entry is None or (entry.size, entry.modified) != _stamp(path):
            return True
        return bool(entry.error) and self.embedder.hosted  # a service or a budget may have failed, not the file

    def _embed(self, path: Path) -> Entry:
        entry = Entry(*_stamp(path), kind="", spans=[], vectors=np.empty((0, self.embedder.dims[0]), np.float32))
        try:
            part = detect(path, self.embedder.limits)
            entry.kind = part.modality
            segments = self.embedder.embed_segments(part, task="document")
            entry.vectors, entry.spans = np.stack([vector for vector, _ in segments]), [span for _, span in segments]
        except PanvecError as error:
            entry.error = str(error).removeprefix(f"{path}: ")
        except Exception as error:  # noqa: BLE001 - one file never stops the others
            entry.error = f"a fault of panvec's, please report it: {type(error).__name__}: {error}"
        return entry

    def _save(self) -> None:
        note = self._store.save(self.entries)
        if note and note not in self.notes:
            self.notes.append(note)


def media_files(root: Path) -> Iterator[Path]:
    """The files below `root` with the suffix of a medium, sorted folder by folder; nothing hidden, no link out of `root`."""
    inside = root.resolve()
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder) / name
            if not name.startswith(".") and is_media_name(name) and _is_file_in(path, inside):
                yield path


def _is_file_in(path: Path, folder: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(folder) and path.is_file()
    except (OSError, RuntimeError):
        return False


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of the last change; -1 where the file cannot be read, so that a change of permissions counts."""
    try:
        if not os.access(path, os.R_OK):
            return -1, -1
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns
