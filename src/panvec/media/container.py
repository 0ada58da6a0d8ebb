"""What audio and video share: a container opened safely, its streams decoded, damage and truncation noticed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.stream import Discard, Disposition

from panvec.errors import LimitError, MediaError
from panvec.media.decoding import decoding
from panvec.media.formats import unreadable
from panvec.media.source import Blob

# Demuxers of single files only: playlists (HLS, DASH, concat) would open other files and URLs.
_FORMATS = (
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,wav,w64,flac,mp3,aac,aiff,au,caf,amr,amrnb,amrwb,"
    "ac3,eac3,dts,tta,wv,ape,m4v,h264,hevc,obu,ivf"
)
_EXACT = {"mov", "matroska", "avi", "wav", "w64", "flac", "aiff", "au", "flv", "asf", "caf"}
"""Containers that declare how long they are; in the others the duration is an estimate."""

_UNKNOWN_SIZE = 0x7FFFFFFF
"""What writers that cannot go back leave in a RIFF header for its size, or more."""


@contextmanager
def opened(blob: Blob, modality: str) -> Iterator[InputContainer]:
    """The container in `blob`, open. What libav raises inside the block is a MediaError.

    Raises:
        MediaError: no container at all, or one of a format that is not read.
    """
    with decoding(blob.name, modality), blob.open() as file:
        try:
            container = av.open(
                _Nameless(file),
                mode="r",
                buffer_size=1 << 18,
                metadata_errors="ignore",
                container_options={"format_whitelist": _FORMATS},
            )
        except (av.FFmpegError, ValueError) as error:
            raise unreadable(blob.name, blob.head(), modality) from error
        with container:
            yield container


class _Nameless:
    """A file without its name, which libav would take for a hint at its format."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def sound_stream(container: InputContainer) -> Any | None:
    """The first audio stream that can be decoded, or None."""
    return next((s for s in container.streams.audio if _decodable(s) and s.codec_context.sample_rate > 0), None)


def picture_stream(container: InputContainer) -> Any | None:
    """The first video stream that can be decoded and is no cover art, or None."""
    return next((s for s in container.streams.video if _decodable(s) and not s.disposition & Disposition.attached_pic), None)


def only(container: InputContainer, chosen: Any) -> None:
    """Has every stream but `chosen` skipped without being read."""
    for stream in container.streams:
        if stream is not chosen:
            stream.discard = Discard.all


def declared_seconds(container: InputContainer, stream: Any, blob: Blob) -> float | None:
    """How long the container says `stream` is, where it says so."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base) * _riff_excess(blob)
    if stream.type == "audio" and picture_stream(container) is not None:
        return None
    return container.duration / av.time_base * _riff_excess(blob) if container.duration else None


def check_seconds(name: str, seconds: float | None, most: float) -> None:
    """Nothing, when `seconds` is unknown or at most `most`; else LimitError."""
    if seconds is not None and seconds > most:
        raise LimitError(
            f"{name}: is {seconds:,.0f} s long, over the limit of {most:,.0f} s: "
            "cut it, or raise the `..._seconds` limit in Limits"
        )


def check_whole(name: str, container: InputContainer, declared: float | None, decoded: float) -> None:
    """Nothing, unless the container says exactly how long it is and clearly less was `decoded`; then MediaError."""
    exact = not _EXACT.isdisjoint(container.format.name.split(","))
    if exact and declared and declared - decoded > max(min(1.0, 0.1 + declared / 2), 0.05 * declared):
        raise MediaError(f"{name}: truncated: it says {declared:.1f} s, and only {decoded:.1f} s can be decoded")


def decoded_frames(container: InputContainer, stream: Any, name: str) -> Iterator[Any]:
    """The frames of `stream` in order of presentation.

    Junk before the first and after the last good frame (tags, padding, a last packet cut short) is passed over.

    Raises:
        MediaError: packets in between cannot be decoded; the message names the second.
    """
    second: float | None = None
    broken: Exception | None = None
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            broken = error if second is not None else None
            continue
        for frame in frames:
            if broken is not None:
                raise MediaError(f"{name}: damaged near second {second:.1f}: cannot be decoded there ({broken})") from broken
            second = frame.time if frame.time is not None else second or 0.0
            yield frame


def _riff_excess(blob: Blob) -> float:
    """How many times larger than it is a WAV or AVI says it is (at least 1): libav takes what there is for its length."""
    head = blob.head(8)
    said = int.from_bytes(head[4:8], "little") + 8 if head[:4] == b"RIFF" else 0
    return max(1.0, said / blob.size) if said < _UNKNOWN_SIZE else 1.0


def _decodable(stream: Any) -> bool:
    return stream.codec_context is not None
