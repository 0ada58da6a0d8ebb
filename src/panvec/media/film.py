"""The pictures of a video file: its frames with their times, upright and scaled down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from av.container import InputContainer

from panvec.content import Limits
from panvec.errors import MediaError
from panvec.media.container import (
    check_seconds,
    check_whole,
    declared_seconds,
    decoded_frames,
    only,
    picture_stream,
    sound_stream,
)
from panvec.media.formats import unreadable
from panvec.media.image import RGB, check_pixels
from panvec.media.shot import Shot, check_frames
from panvec.media.source import Blob

_DENSE = 16
"""Frames stored for one sampled, from which on those that no other frame refers to need not be decoded."""
_COARSE = 2
"""Scale down from which on the deblocking filter is left out: a fifth of the time, 39 dB and more of the same picture."""
_THREADS = 2


class Film:
    """The first stream of moving pictures in an open container, found within the limits.

    Raises:
        MediaError: no moving pictures. LimitError: over `video_pixels`, `video_seconds` or `video_frames`, by the header.
    """

    def __init__(self, container: InputContainer, blob: Blob, limits: Limits) -> None:
        stream = picture_stream(container)
        if stream is None:
            raise _pictureless(blob, container)
        self.name, self.limits = blob.name, limits
        self._container, self._stream = container, stream
        self._declared = declared_seconds(container, stream, blob)
        self._check_header()
        only(container, stream)

    @property
    def zero(self) -> float:
        """The second of the container's clock at which it starts."""
        return (self._container.start_time or 0) / 1e6

    def shots(self, fps: float, at_least: int) -> Iterator[Shot]:
        """Every frame that may be sampled at `fps`, in order."""
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 25)
        self._hurry(dense=rate >= _DENSE * fps, at_least=at_least)
        start = end = 0.0
        for frame in decoded_frames(self._container, self._stream, self.name):
            check_pixels(self.name, (frame.width, frame.height), self.limits.video_pixels)
            start = max(start, frame.time - self.zero) if frame.time is not None else end
            end = start + (float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 1 / rate)
            yield Shot(start, end, lambda frame=frame: self._pixels(frame, at_least))  # type: ignore[misc]

    def check_whole(self, end: float) -> None:
        """Nothing, unless pictures and sound end, at second `end`, clearly before the container says; then MediaError."""
        check_whole(self.name, self._container, self._declared, end)

    def _check_header(self) -> None:
        context = self._stream.codec_context
        if context.width and context.height:
            check_pixels(self.name, (context.width, context.height), self.limits.video_pixels)
        check_seconds(self.name, self._declared, self.limits.video_seconds)
        check_frames(self.name, self._stream.frames, self.limits)

    def _hurry(self, *, dense: bool, at_least: int) -> None:
        self._stream.thread_type = "AUTO"
        context = self._stream.codec_context
        context.thread_count = _THREADS
        if dense:
            context.skip_frame = "NONREF"
        if min(context.width, context.height) >= _COARSE * at_least:
            context.options = {"skip_loop_filter": "all"}

    def _pixels(self, frame: Any, at_least: int) -> RGB:
        aspect = float(self._stream.sample_aspect_ratio or 1)
        wide = frame.width * (aspect if 0.1 < aspect < 10 else 1.0)
        scale = min(1.0, at_least / min(wide, frame.height))
        width, height = max(1, round(wide * scale)), max(1, round(frame.height * scale))
        small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
        return np.ascontiguousarray(np.rot90(small.to_ndarray(), round(frame.rotation / 90)))


def _pictureless(blob: Blob, container: InputContainer) -> MediaError:
    if sound_stream(container) is not None:
        return MediaError(f"{blob.name}: is sound without moving pictures: use Audio(...)")
    return unreadable(blob.name, blob.head(), "video")
