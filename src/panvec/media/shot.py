"""One frame of a video or an animation before it is converted."""

from collections.abc import Callable
from dataclasses import dataclass

from panvec.media.image import RGB


@dataclass(frozen=True, eq=False)
class Shot:
    """A frame on show from second `start` to second `end`; `pixels()` converts it to uint8 RGB `[height, width, 3]`."""

    start: float
    end: float
    pixels: Callable[[], RGB]
