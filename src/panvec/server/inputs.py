"""Media in requests to parts: base64, data: URIs, URLs where they are allowed, and uploaded files."""

from __future__ import annotations

from pathlib import Path

from panvec.content import Audio, Document, Image, Part, Source, Video
from panvec.errors import InputError
from panvec.server.fetch import Fetcher

_KINDS: dict[str, type[Image | Audio | Video | Document]] = {"image": Image, "audio": Audio, "video": Video, "text": Document}
_DOCUMENTS = ("pdf", "json", "xml", "xhtml+xml", "x-javascript", "javascript", "x-python", "x-yaml", "yaml", "rtf")


def part_of(source: Source, mime_type: str) -> Part:
    """The part that a medium of this media type is.

    Raises:
        InputError: a media type that is none of text, image, audio, video or document.
    """
    kind, _, rest = mime_type.split(";", maxsplit=1)[0].strip().lower().partition("/")
    if kind == "application" and rest in _DOCUMENTS:
        return Document(source)
    if kind not in _KINDS or not rest:
        raise InputError(
            f"media of type {mime_type[:60]!r} are not embedded: image/*, audio/*, video/*, application/pdf, text/*"
        )
    return _KINDS[kind](source)


def encoded(data: str, mime_type: str) -> Part:
    """A medium in base64, decoded when it is read."""
    return part_of(f"data:;base64,{data}", mime_type)


def uploaded(path: Path, mime_type: str) -> Part:
    """A medium in a file of the server's own."""
    return part_of(path, mime_type)


async def linked(url: str, fetcher: Fetcher, fallback: str) -> Part:
    """A medium at a `data:` URI, or at a URL where the server may fetch it.

    Args:
        url: where it is.
        fetcher: fetches what may be.
        fallback: the media type of what does not say its own.

    Raises:
        PanvecError: it may not be fetched, cannot be, or is no base64 data: URI.
    """
    if url[:5].lower() != "data:":
        body, mime_type = await fetcher.fetch(url)
        return part_of(body, mime_type if mime_type.split("/")[0] in _KINDS or mime_type == "application/pdf" else fallback)
    header, comma, data = url[5:].partition(",")
    mime_type, _, encoding = header.rpartition(";")
    if not comma or encoding.strip().lower() != "base64":
        raise InputError("a data: URI here is data:TYPE;base64,DATA")
    return encoded(data, mime_type or fallback)
