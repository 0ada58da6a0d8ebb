"""Animated pictures (GIF, WebP, PNG, AVIF): their frames with the time each one shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import PIL.Image

from panvec.content import Limits
from panvec.errors import LimitError
from panvec.media.decoding import decoding
from panvec.media.image import RGB, check_pixels, open_picture, rgb_of
from panvec.media.source import Blob

_UNSET = 0.1
"""What browsers show a frame for when its duration is 0 or 10 ms."""


def animation_frames(
    source: Blob | PIL.Image.Image, name: str, limits: Limits, at_least: int
) -> Iterator[tuple[float, float, RGB]]:
    """Every frame as (second it appears, second it goes, uint8 RGB `[height, width, 3]`).

    Raises:
        MediaError: damaged or truncated. LimitError: over `video_pixels` or `video_frames`.
    """
    if isinstance(source, PIL.Image.Image):
        before = source.tell()
        try:
            yield from _frames(source, name, limits, at_least)
        finally:
            source.seek(before)
        return
    with decoding(name, "an animation"), source.open() as file:
        yield from _frames(open_picture(source, file, limits.video_pixels), name, limits, at_least)


def _frames(picture: PIL.Image.Image, name: str, limits: Limits, at_least: int) -> Iterator[tuple[float, float, RGB]]:
    start = 0.0
    index = 0
    while True:
        with decoding(name, "an animation"):
            try:
                picture.seek(index)
            except EOFError:
                return
            check_pixels(name, picture.size, limits.video_pixels)
            pixels = rgb_of(picture, at_least)
        end = start + _duration(picture.info)
        yield start, end, pixels
        start = end
        index += 1
        if index >= limits.video_frames:
            raise LimitError(f"{name}: over the limit of {limits.video_frames:,} frames: raise Limits.video_frames")


def _duration(info: dict[Any, Any]) -> float:
    duration = info.get("duration") or 0
    return float(duration) / 1000 if duration > 10 else _UNSET
