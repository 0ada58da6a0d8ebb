"""Animated pictures (GIF, WebP, PNG, AVIF): their frames with the time each one shows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import PIL.Image

from panvec.content import Limits
from panvec.media.decoding import decoding
from panvec.media.image import check_pixels, open_picture, rgb_of
from panvec.media.shot import Shot
from panvec.media.source import Blob

_UNSET = 0.1
"""What browsers show a frame for when its duration is 0 or 10 ms."""


def animation_shots(source: Blob | PIL.Image.Image, name: str, limits: Limits, at_least: int) -> Iterator[Shot]:
    """Every frame. A PIL image is left at the frame it was at.

    Raises:
        MediaError: damaged or truncated. LimitError: over `video_pixels`.
    """
    if isinstance(source, PIL.Image.Image):
        before = source.tell()
        try:
            yield from _shots(source, name, limits, at_least)
        finally:
            source.seek(before)
        return
    with decoding(name, "an animation"), source.open() as file:
        yield from _shots(open_picture(source, file, limits.video_pixels), name, limits, at_least)


def _shots(picture: PIL.Image.Image, name: str, limits: Limits, at_least: int) -> Iterator[Shot]:
    start = 0.0
    for index in count():
        with decoding(name, "an animation"):
            try:
                picture.seek(index)
            except EOFError:
                return
            check_pixels(name, picture.size, limits.video_pixels)
            pixels = rgb_of(picture, at_least)
            end = start + _duration(picture.info)
        yield Shot(start, end, lambda pixels=pixels: pixels)  # type: ignore[misc]
        start = end


def _duration(info: dict[Any, Any]) -> float:
    duration = info.get("duration") or 0
    return float(duration) / 1000 if duration > 10 else _UNSET
