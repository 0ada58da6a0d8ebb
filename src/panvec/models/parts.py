"""The parts of a content, made ready to be decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Generic, TypeAlias, TypeVar

from panvec.content import Audio, Content, Document, Image, Limits, Medium, Text, Video
from panvec.media.kinds import detect
from panvec.media.source import resolve

TypedPart: TypeAlias = "Text | Image | Audio | Video | Document"
MadeT = TypeVar("MadeT")


class Once(Generic[MadeT]):
    """Makes something of a part, but once of a medium that contents in a row share: one is kept at a time.

    Shared is the same `Image`, `Audio`, `Video` or `Document` object.
    """

    def __init__(self, make: Callable[[TypedPart], MadeT]) -> None:
        self._make = make
        self._last: tuple[TypedPart, MadeT] | None = None

    def __call__(self, part: TypedPart) -> MadeT:
        """What is made of `part`."""
        if isinstance(part, Text):
            return self._make(part)
        if self._last is None or self._last[0] is not part:
            self._last = None
            self._last = part, self._make(part)
        return self._last[1]


def typed_parts(content: Content, limits: Limits) -> Iterator[TypedPart]:
    """The parts of a content, each path as the modality that its file holds, each source readable as often as needed.

    Raises:
        MediaError: a file that is missing or of no known kind. LimitError: one that is too large.
    """
    for part in content:
        yield settled(part if isinstance(part, Text | Medium) else detect(part, limits), limits)


def settled(part: TypedPart, limits: Limits) -> TypedPart:
    """The same part on bytes if its source can be read only once (a file object), or had better be (a URL)."""
    if isinstance(part, Text) or not (hasattr(part.source, "read") or (isinstance(part.source, str) and ":" in part.source)):
        return part
    blob = resolve(part, limits)
    return part if blob.path is not None else replace(part, source=blob.read())
