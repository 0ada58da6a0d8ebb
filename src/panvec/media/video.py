"""Moving pictures with their sound: stretches of frames at a steady rate and the sound of the same seconds, streamed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from panvec.content import Image, Limits, Video
from panvec.errors import MediaError
from panvec.media.animation import animation_shots
from panvec.media.audio import SHORTEST, Samples
from panvec.media.container import check_seconds, opened
from panvec.media.film import Film
from panvec.media.image import RGB, check_pixels, has_frames
from panvec.media.shot import Shot, check_frames
from panvec.media.soundtrack import Soundtrack
from panvec.media.source import resolve

_JITTER = 1e-3
"""Seconds by which a timestamp may come before its tick: containers round them to milliseconds."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture of a video: the second it appears, and uint8 RGB `[height, width, 3]`."""

    seconds: float
    pixels: RGB


@dataclass(frozen=True, eq=False)
class Clip:
    """A stretch of a video: where it is, in seconds, at least one frame, and its sound.

    `sound` is mono `[(end - start) * hz]`, silent where the track is; None for a video without one.
    """

    start: float
    end: float
    frames: list[Frame]
    sound: Samples | None


def read_video(
    video: Video | Image,
    limits: Limits,
    *,
    fps: float = 1.0,
    seconds: float = 10.0,
    hz: int = 16_000,
    at_least: int = 288,
) -> Iterator[Clip]:
    """The whole video as consecutive clips of exactly `seconds`, decoded as they are asked for.

    Time is that of the presentation timestamps, counted from where the container starts; pictures and sound share it. On every
    tick of `fps` the next frame to appear is taken, once; a clip in which none appears begins with the one on show. Frames are
    upright, with square pixels, and scaled down until their shorter side is `at_least`. A last remainder under one second is
    joined to the clip before it.

    Raises:
        MediaError: no moving pictures, damaged (the message names the second), or truncated.
        LimitError: over `video_bytes`, `video_pixels`, `video_seconds` or `video_frames`.
    """
    with ExitStack() as stack:
        shots, track, film = _opened(video, limits, stack, fps=fps, hz=hz, at_least=at_least)
        sampler = _Sampler(_limited(shots, video.name, limits), fps)
        if sampler.shown is None:
            raise MediaError(f"{video.name}: holds no moving pictures: not one frame can be decoded")
        end = 0.0
        for clip in _joined(_clips(sampler, track, seconds, hz)):
            check_seconds(video.name, clip.end, limits.video_seconds)
            yield clip
            end = clip.end
        if film is not None:
            film.check_whole(end)


def _opened(
    video: Video | Image, limits: Limits, stack: ExitStack, *, fps: float, hz: int, at_least: int
) -> tuple[Iterator[Shot], Soundtrack | None, Film | None]:
    """All frames of the video, not converted yet, its sound, where it has any, and the file they are from, if it is one."""
    if isinstance(video.source, np.ndarray):
        return _array_shots(video.source, video, limits, at_least), None, None
    if isinstance(video.source, PIL.Image.Image):
        return animation_shots(video.source, video.name, limits, at_least), None, None
    blob = resolve(video, limits)
    if has_frames(blob, limits):
        return animation_shots(blob, blob.name, limits, at_least), None, None
    film = Film(stack.enter_context(opened(blob, "video")), blob, limits)
    track = Soundtrack(stack.enter_context(opened(blob, "video")), blob.name, film.zero, hz)
    return film.shots(fps, at_least), track if track.exists else None, film


def _limited(shots: Iterator[Shot], name: str, limits: Limits) -> Iterator[Shot]:
    for number, shot in enumerate(shots, 1):
        check_seconds(name, shot.end, limits.video_seconds)
        check_frames(name, number, limits)
        yield shot


def _array_shots(frames: NDArray[np.uint8], video: Video | Image, limits: Limits, at_least: int) -> Iterator[Shot]:
    if not len(frames):
        raise MediaError(f"{video.name}: has no frames")
    check_pixels(video.name, (frames.shape[2], frames.shape[1]), limits.video_pixels)
    fps = float(getattr(video, "fps", None) or 1)
    for index, frame in enumerate(frames):
        yield Shot(index / fps, (index + 1) / fps, lambda frame=frame: _reduced(frame, at_least))  # type: ignore[misc]


def _reduced(pixels: NDArray[np.uint8], at_least: int) -> RGB:
    factor = min(pixels.shape[:2]) // at_least
    return np.array(PIL.Image.fromarray(pixels).reduce(factor)) if factor > 1 else pixels.copy()


class _Sampler:
    """Takes from the shots of a video, on every tick of `fps`, the next to appear."""

    def __init__(self, shots: Iterator[Shot], fps: float) -> None:
        self.shots, self.fps = shots, fps
        self.coming = self.shown = next(shots, None)
        self.due = -math.inf
        self.end = 0.0

    @property
    def over(self) -> bool:
        return self.coming is None

    def until(self, second: float) -> list[Frame]:
        """The sampled frames that appear before `second`, from where the last call stopped."""
        frames = []
        while self.coming is not None and self.coming.start < second:
            shot = self.shown = self.coming
            if shot.start >= self.due - _JITTER:
                frames.append(Frame(shot.start, shot.pixels()))
                self.due = (math.floor((shot.start + _JITTER) * self.fps) + 1) / self.fps
            self.end = max(self.end, shot.end)
            self.coming = next(self.shots, None)
        return frames

    def carried(self, second: float) -> list[Frame]:
        """The frame that is on show at `second`, or before the first one appears, that."""
        return [Frame(second, self.shown.pixels())] if self.shown is not None else []


def _clips(sampler: _Sampler, track: Soundtrack | None, seconds: float, hz: int) -> Iterator[Clip]:
    """Clips of exactly `seconds`, but the last; only one that is joined to the clip before it may lack a frame."""
    for index in count():
        start, end = index * seconds, (index + 1) * seconds
        frames = sampler.until(end)
        sound, silent = track.until(end) if track else (None, True)
        over = sampler.over and silent
        finish = max(sampler.end, track.end if track else 0.0) if over else math.inf
        end = min(end, finish)
        if end > start:
            if not frames and (not index or end - start >= SHORTEST):
                frames = sampler.carried(start)
            yield Clip(start, end, frames, _padded(sound, round((end - start) * hz)))
        if finish <= end or end <= start:
            return


def _padded(sound: Samples | None, length: int) -> Samples | None:
    return None if sound is None else np.pad(sound[:length], (0, max(0, length - len(sound))))


def _joined(clips: Iterator[Clip]) -> Iterator[Clip]:
    held: Clip | None = None
    for clip in clips:
        if held is not None and clip.end - clip.start < SHORTEST:
            held = _with(held, clip)
            continue
        if held is not None:
            yield held
        held = clip
    if held is not None:
        yield held


def _with(clip: Clip, rest: Clip) -> Clip:
    sound = None if clip.sound is None or rest.sound is None else np.concatenate([clip.sound, rest.sound])
    return replace(clip, end=rest.end, frames=clip.frames + rest.frames, sound=sound)
