"""Which modality a file is, by its content and never by its name."""

from __future__ import annotations

from pathlib import Path

from panvec.content import Audio, Document, Image, Limits, Video
from panvec.errors import MediaError, PanvecError
from panvec.media.formats import Format, sniff, unreadable
from panvec.media.source import Blob, file_blob


def detect(path: Path, limits: Limits) -> Image | Audio | Video | Document:
    """The part that the file at `path` is: an animation is a video, a multi-page TIFF a document, sound with a cover audio.

    Only the beginning is read, except of containers and animations, whose headers are.

    Raises:
        MediaError: no file, an empty one, or content of no kind that panvec reads (the message says what is known of it).
        LimitError: larger than any modality may be, or a picture over its pixel limit.
    """
    most = max(limits.image_bytes, limits.audio_bytes, limits.video_bytes, limits.document_bytes)
    blob = file_blob(path, most)
    head = blob.head()
    found = sniff(head)
    if found is None:
        return _unnamed(path, blob, head)
    if found.modality == "image":
        return _picture(path, blob, found, limits)
    if found.modality == "audio" and found.name not in ("M4A", "MP3", "AAC"):
        return Audio(path)
    if found.modality == "document":
        return Document(path)
    if found.modality:
        return _streams(path, blob)
    raise unreadable(blob.name, head, "medium")


def _picture(path: Path, blob: Blob, found: Format, limits: Limits) -> Image | Video | Document:
    from panvec.media.image import has_frames, has_pages

    if found.name == "TIFF":
        return Document(path) if has_pages(blob, limits) else Image(path)
    return Video(path) if has_frames(blob, limits) else Image(path)


def _unnamed(path: Path, blob: Blob, head: bytes) -> Audio | Video | Document:
    from panvec.media.text import decode_text

    try:
        decode_text(head, blob.name, cut=len(head) < blob.size)
    except MediaError:
        return _streams(path, blob)
    return Document(path)


def _streams(path: Path, blob: Blob) -> Audio | Video:
    from panvec.media.container import decoded_frames, opened, picture_stream, sound_stream

    try:
        with opened(blob, "medium") as container:
            stream = picture_stream(container) or sound_stream(container)
            if stream is not None and next(decoded_frames(container, stream, blob.name), None) is not None:
                return Video(path) if stream.type == "video" else Audio(path)
    except PanvecError as error:
        raise unreadable(blob.name, blob.head(), "medium") from error
    raise unreadable(blob.name, blob.head(), "medium")
