"""One frame of a video or an animation before it is converted."""

from collections.abc import Callable
from dataclasses import dataclass

from panvec.content import Limits
from panvec.errors import LimitError
from panvec.media.image import RGB


@dataclass(frozen=True, eq=False)
class Shot:
    """A frame on show from second `start` to second `end`; `pixels()` converts it to uint8 RGB `[height, width, 3]`."""

    start: float
    end: float
    pixels: Callable[[], RGB]


def check_frames(name: str, frames: int, limits: Limits) -> None:
    """Nothing, when `frames` are within `video_frames`; else LimitError."""
    if frames > limits.video_frames:
        raise LimitError(f"{name}: over the limit of {limits.video_frames:,} frames: cut it, or raise Limits.video_frames")
