"""What is embedded for an evaluation: each item once, whatever number of tasks and dimensions use it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from panvec.content import Audio, Content, Document, Image, Limits, Medium, Text, Video
from panvec.errors import InputError, ModelError, PanvecError
from panvec.media.image import RGB, read_image
from panvec.models.embedder import Embedder, Vector, shorten
from panvec.models.remote.service import of_service

Kind: TypeAlias = Literal["image", "audio", "video", "document"]
Progress: TypeAlias = Callable[[int, int, str], None]

_MEDIA: dict[str, Callable[[Path], Medium]] = {"image": Image, "audio": Audio, "video": Video, "document": Document}
PRECISIONS = ("float32", "int8", "binary")
_TOGETHER = 64
_SHOWN = 40


class Embeds(Protocol):
    """What an evaluation needs of an embedder; `panvec.Embedder` has it."""

    space_id: str
    dims: tuple[int, ...]

    def embed(self, inputs: list[Any], *, on_error: Literal["return"]) -> Any:
        """A vector of the longest of `dims`, or the error, for each content."""
        ...


@dataclass(frozen=True)
class Words:
    """A text."""

    text: str
    kind: Literal["text"] = field(default="text", init=False)

    @property
    def name(self) -> str:
        """For messages."""
        return Text(self.text).name

    def part(self) -> Text:
        """As a part of a content."""
        return Text(self.text)


@dataclass(frozen=True)
class File:
    """A medium in a file."""

    kind: Kind
    path: Path

    @property
    def name(self) -> str:
        """For messages."""
        return str(self.path)

    def part(self) -> Any:
        """As a part of a content."""
        return _MEDIA[self.kind](self.path)


@dataclass(frozen=True)
class Frames:
    """Pictures as the frames of a video without sound, one a second; all of the size of the first."""

    paths: tuple[Path, ...]

    @property
    def name(self) -> str:
        """For messages."""
        return " + ".join(map(str, self.paths)) + " as a video"

    def part(self) -> Video:
        """As a part of a content. The pictures are decoded here."""
        pictures = [read_image(Image(path), Limits()) for path in self.paths]
        height, width = pictures[0].shape[:2]
        return Video(np.stack([_resized(picture, width, height) for picture in pictures]), fps=1)


Item: TypeAlias = tuple[Words | File | Frames, ...]
"""The parts of one content, comparable: equal items are embedded once."""


@dataclass(frozen=True)
class Rows:
    """Vectors `[items, dim]` of length 1, and which of them there are, `[items]` bool; a missing one is zero."""

    vectors: Vector
    there: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.there)

    def take(self, indices: Sequence[int]) -> Rows:
        """Some of them, in another order, any of them repeatedly."""
        return Rows(self.vectors[indices], self.there[indices])


class Vectors:
    """The vectors of items, embedded once.

    Attributes:
        failures: the name and the error of each item that could not be embedded.
        seconds: spent in the embedder.
    """

    def __init__(self, embedder: Embeds) -> None:
        self.embedder = embedder
        self.failures: dict[str, str] = {}
        self.seconds = 0.0
        self._known: dict[Item, Vector | None] = {}
        self._precision = "float32"

    def at(self, precision: str) -> Vectors:
        """The same vectors as int8 or binary ones, as a database without the model compares them.

        Raises:
            InputError: another precision, or an embedder without them.
        """
        if precision not in PRECISIONS or (precision == "int8" and not isinstance(self.embedder, Embedder)):
            raise InputError(
                f"unknown precision {precision!r}: use one of {', '.join(PRECISIONS)}, int8 with a panvec Embedder"
            )
        seen = copy(self)
        seen._precision = precision
        return seen

    def __len__(self) -> int:
        return len(self._known)

    def add(self, items: Iterable[Item], progress: Progress | None = None) -> None:
        """Embed those of `items` that are new, in chunks.

        Raises:
            ModelError: not one of them can be embedded, or the service of a hosted model failed.
            LimitError: the budget of a hosted model is spent.
        """
        new = [item for item in dict.fromkeys(items) if item not in self._known]
        done = 0
        for chunk in _chunks(new):
            if progress:
                progress(done, len(new), name_of(chunk[0])[-_SHOWN:])
            for item, row in zip(chunk, self._embed(chunk), strict=True):
                self._keep(item, row)
            done += len(chunk)
        if progress:
            progress(len(new), len(new), "")
        if new and all(vector is None for vector in self._known.values()):
            raise ModelError(f"none of {len(new)} items can be embedded; the first: {next(iter(self.failures.values()))}")

    def media(self) -> Iterator[tuple[Content, Vector]]:
        """The files that were embedded alone, each as its content, with its vector."""
        for item, vector in self._known.items():
            if vector is not None and len(item) == 1 and isinstance(item[0], File):
                yield Content(item[0].part()), vector

    def of(self, items: Sequence[Item], dim: int) -> Rows:
        """The vectors of items that were added, as prefixes of `dim` values of length 1."""
        missing = np.zeros(self.embedder.dims[0], np.float32)
        known = [self._known[item] for item in items]
        full = np.stack([missing, *(missing if vector is None else vector for vector in known)])[1:]
        return unit_rows(self._at_precision(full, dim))

    def _at_precision(self, full: Vector, dim: int) -> Vector:
        """Vectors `[items, dims[0]]` as `[items, dim]` float32 of the direction that their precision leaves them."""
        short, there = full[:, :dim].copy(), full.any(1)
        if self._precision == "int8" and isinstance(self.embedder, Embedder):
            short[there] = self.embedder.quantize(full[there], dim=dim, precision="int8")
        elif self._precision == "binary":
            short[there] = np.where(short[there] > 0, 1, -1)
        return short

    def _embed(self, items: list[Item]) -> list[Any]:
        contents = list(_contents(items))
        good = [content for content in contents if isinstance(content, Content)]
        began = time.monotonic()
        try:
            made = iter(self.embedder.embed(good, on_error="return"))
        except Exception:  # noqa: BLE001 - one content never stops the others: find it
            made = iter([self._embed_alone(content) for content in good])
        self.seconds += time.monotonic() - began
        return [next(made) if isinstance(content, Content) else content for content in contents]

    def _embed_alone(self, content: Content) -> Any:
        try:
            return self.embedder.embed([content], on_error="return")[0]
        except PanvecError as error:
            return error
        except Exception as error:  # noqa: BLE001 - one content never stops the others
            return ModelError(f"the embedder failed with {type(error).__name__}: {error}")

    def _keep(self, item: Item, row: Any) -> None:
        try:
            if isinstance(row, PanvecError):
                raise row
            self._known[item] = shorten(np.asarray(row, np.float32), self.embedder.dims[0])
        except PanvecError as error:
            if of_service(error):
                raise
            self._known[item] = None
            self.failures[name_of(item)] = str(error)


def name_of(item: Item) -> str:
    """A short name for messages: the names of the parts."""
    return " + ".join(part.name for part in item)


def contents_of(items: Iterable[Item]) -> list[Content]:
    """What is embedded for items; those that cannot be read are left out."""
    return [content for content in _contents(items) if isinstance(content, Content)]


def unit_rows(vectors: Vector) -> Rows:
    """Vectors `[items, dim]` at length 1; one of length 0 is missing."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return Rows(unit, lengths[:, 0] > 0)


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Items in chunks; those of the same media in one chunk, one after the other, so that a model decodes these once."""
    groups: dict[Item, list[Item]] = defaultdict(list)
    for item in items:
        groups[tuple(part for part in item if not isinstance(part, Words))].append(item)
    chunk: list[Item] = []
    for group in groups.values():
        for start in range(0, len(group), _TOGETHER):
            piece = group[start : start + _TOGETHER]
            if len(chunk) + len(piece) > _TOGETHER:
                yield chunk
                chunk = []
            chunk += piece
    if chunk:
        yield chunk


def _contents(items: Iterable[Item]) -> Iterator[Content | PanvecError]:
    """A content, or why there is none, for each item; equal parts are one object."""
    part_of = cache(lambda part: part.part())
    for item in items:
        try:
            yield Content(*map(part_of, item))
        except PanvecError as error:
            yield error


def _resized(picture: RGB, width: int, height: int) -> RGB:
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(PIL.Image.fromarray(picture).resize((width, height), PIL.Image.Resampling.BICUBIC))
