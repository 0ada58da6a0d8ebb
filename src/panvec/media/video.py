"""Moving pictures with their sound: frames at a steady rate and the sound of the same seconds, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from panvec.content import Image, Limits, Video
from panvec.errors import LimitError, MediaError
from panvec.media.animation import animation_frames
from panvec.media.container import check_seconds, check_whole, declared_seconds, decoded_frames, only, opened, picture_stream
from panvec.media.image import RGB, check_pixels, has_frames, rgb_of
from panvec.media.soundtrack import Soundtrack
from panvec.media.source import Blob, resolve

_SHORTEST = 1.0
"""A remainder of fewer seconds joins the clip before it."""


@dataclass(frozen=True)
class Frame:
    """A picture of a video: the second it appears, and RGB `[height, width, 3]`."""

    seconds: float
    pixels: RGB


@dataclass(frozen=True)
class Clip:
    """A stretch of a video: where it is, in seconds, its frames, and its mono sound `[n]` (None: no track)."""

    start: float
    end: float
    frames: list[Frame]
    sound: NDArray[np.float32] | None


def read_video(
    video: Video | Image,
    limits: Limits,
    *,
    fps: float = 1.0,
    seconds: float = 10.0,
    hz: int = 16_000,
    at_least: int = 288,
) -> Iterator[Clip]:
    """Consecutive clips of `seconds`; frames at `fps` by their presentation times, with the sound of the same seconds.

    The last clip has up to `seconds` + 1. Frames are scaled down to a shorter side of about `at_least` pixels.

    Raises:
        MediaError: there are no moving pictures, or they cannot be decoded to the end.
        LimitError: more bytes, pixels, seconds or frames than the limit.
    """
    with ExitStack() as stack:
        sound: Soundtrack | None = None
        if isinstance(video.source, np.ndarray):
            shown = _array(video, limits, at_least)
        elif isinstance(video.source, PIL.Image.Image):
            shown = animation_frames(video.source, video.name, limits, at_least)
        else:
            blob = resolve(video, limits)
            if has_frames(blob, limits):
                shown = animation_frames(blob, blob.name, limits, at_least)
            else:
                shown, zero = _decoded(blob, limits, fps, at_least, stack)
                sound = stack.enter_context(Soundtrack(blob, zero, hz))
        yield from _clips(_sampled(shown, video.name, limits, fps), sound, seconds)


def _clips(frames: Iterator[tuple[float, Frame | None]], sound: Soundtrack | None, seconds: float) -> Iterator[Clip]:
    """Frames, each with the second up to which the video lasts, cut into clips with their sound."""
    track = sound if sound is not None and sound.exists else None
    held: list[Frame] = []
    heard = None if track is None else np.zeros(0, np.float32)
    start = last = 0.0
    while True:
        stop = start + seconds
        while last < stop + _SHORTEST and (following := next(frames, None)) is not None:
            last = following[0]
            held += [following[1]] if following[1] is not None else []
        end = last
        if track is not None and heard is not None:
            heard = np.concatenate([heard, track.until(stop + _SHORTEST)[0]])
            end = max(last, start + len(heard) / track.hz)
        if end < stop + _SHORTEST:
            yield Clip(start, end, held, heard)
            return
        size = round(seconds * track.hz) if track is not None else 0
        yield Clip(start, stop, [f for f in held if f.seconds < stop], None if heard is None else heard[:size])
        held, heard, start = [f for f in held if f.seconds >= stop], None if heard is None else heard[size:], stop


def _sampled(
    shown: Iterator[tuple[float, float, Any]], name: str, limits: Limits, fps: float
) -> Iterator[tuple[float, Frame | None]]:
    """Of the frames shown, the first in each 1 / fps seconds; with each the second up to which the video is known to last."""
    due, count = 0.0, 0
    for start, end, pixels in shown:
        count += 1
        check_seconds(name, end, limits.video_seconds)
        if count > limits.video_frames:
            raise LimitError(f"{name}: over the limit of {limits.video_frames:,} frames: raise Limits.video_frames")
        frame = None
        if start + 1e-6 >= due:
            frame = Frame(start, pixels() if callable(pixels) else pixels)
            due = (np.floor(start * fps + 1e-6) + 1) / fps
        yield end, frame
    if not count:
        raise MediaError(f"{name}: holds no frame that can be decoded")


def _array(video: Video | Image, limits: Limits, at_least: int) -> Iterator[tuple[float, float, Any]]:
    frames, rate = np.asarray(video.source), float(getattr(video, "fps", None) or 1)
    if frames.ndim == 4 and len(frames):
        check_pixels(video.name, (frames.shape[2], frames.shape[1]), limits.video_pixels)
    for index, frame in enumerate(frames):
        yield index / rate, (index + 1) / rate, rgb_of(PIL.Image.fromarray(frame), at_least)


def _decoded(
    blob: Blob, limits: Limits, fps: float, at_least: int, stack: ExitStack
) -> tuple[Iterator[tuple[float, float, Any]], float]:
    """The frames of a container, and the second of its clock at which they begin."""
    container = stack.enter_context(opened(blob, "video"))
    stream = picture_stream(container)
    if stream is None:
        raise MediaError(f"{blob.name}: holds no moving pictures that can be decoded: for its sound use Audio(...)")
    only(container, stream)
    check_pixels(blob.name, (stream.width, stream.height), limits.video_pixels)
    declared = declared_seconds(container, stream)
    check_seconds(blob.name, declared, limits.video_seconds)
    stream.thread_type, stream.codec_context.thread_count = "AUTO", 2
    if fps <= 5:
        stream.codec_context.skip_frame = "NONREF"
    frames = decoded_frames(container, stream, blob.name)
    first = next(frames, None)
    if first is None:
        raise MediaError(f"{blob.name}: no frame of it can be decoded")
    zero = float(first.time or 0.0)

    def shown() -> Iterator[tuple[float, float, Any]]:
        rate = float(stream.average_rate or 25)
        at = 0.0
        for frame in chain([first], frames):
            at = max(at, float(frame.time) - zero) if frame.time is not None else at
            yield at, at + 1 / rate, lambda frame=frame: _pixels(frame, at_least)
        check_whole(blob.name, container, declared, at + 1 / rate)

    return shown(), zero


def _pixels(frame: Any, at_least: int) -> RGB:
    scale = min(1.0, at_least / min(frame.width, frame.height))
    width, height = max(2, round(frame.width * scale)), max(2, round(frame.height * scale))
    small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    return np.ascontiguousarray(np.rot90(small.to_ndarray(), round(frame.rotation / 90) % 4))
