"""What can be embedded: parts of one modality each, contents made of parts, and the limits on both.

Nothing is opened or decoded here. A part only remembers where its medium is; `panvec.media` reads it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, TypeAlias

import numpy as np

from panvec.errors import InputError

if TYPE_CHECKING:
    import PIL.Image
    from numpy.typing import NDArray

Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | PIL.Image.Image | NDArray[Any]"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that one input may be, checked before anything is decoded. `None` nowhere: every limit is a number.

    `replace(Limits(), image_pixels=...)` changes one.
    """

    parts: int = 1_000
    """Parts in one content."""
    tokens: int = 1_000_000
    """Tokens of the trunk in one content, over all its windows."""
    text_bytes: int = 20_000_000
    """A text, or a text file."""
    image_bytes: int = 200_000_000
    image_pixels: int = 120_000_000
    """Width times height of an image or of one picture of a document."""
    audio_bytes: int = 4_000_000_000
    audio_seconds: float = 4 * 3600.0
    video_bytes: int = 20_000_000_000
    video_pixels: int = 40_000_000
    """Width times height of one frame."""
    video_seconds: float = 4 * 3600.0
    video_frames: int = 2_000_000
    """Frames as stored, before sampling (of an array: its first axis)."""
    document_bytes: int = 1_000_000_000
    document_pages: int = 2_000
    download_bytes: int = 200_000_000
    """Anything fetched from a URL (with `allow_network=True` only)."""
    download_seconds: float = 60.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, whole = getattr(self, field.name), isinstance(field.default, int)
            if not _is_positive(value) or (whole and not isinstance(value, Integral)):
                raise InputError(f"Limits.{field.name} is {value!r}: give a {'whole ' if whole else ''}number above 0")


@dataclass(frozen=True, eq=False)
class Text:
    """A piece of text, as it is."""

    text: str
    modality: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise InputError(f"Text takes a str, not {type(self.text).__name__}: for a file use Document(path)")

    @property
    def name(self) -> str:
        """A short name for messages."""
        return repr(self.text if len(self.text) <= 40 else self.text[:37] + "...")


@dataclass(frozen=True, eq=False)
class Medium:
    """What image, audio, video and document have in common: a source that is read later.

    Args:
        source: a path (a `str` here is a path, a `data:` URI or an http(s) URL), bytes, a binary file object,
            and for images and videos a PIL image or a numpy array.
        allow_network: permits an http(s) URL. Without it a URL is an error.
    """

    source: Source
    allow_network: bool = False
    modality: ClassVar[str] = ""

    def __post_init__(self) -> None:
        kinds = (str, os.PathLike, bytes, bytearray, memoryview, np.ndarray)
        readable = hasattr(self.source, "read") or _is_pil(self.source)
        if not isinstance(self.source, kinds) and not readable:
            raise InputError(
                f"{type(self).__name__} takes a path, bytes, a file object, a PIL image, a numpy array or a data: URI, "
                f"not {type(self.source).__name__}"
            )
        if isinstance(self.source, np.ndarray):
            self._check_array(self.source)

    def _check_array(self, array: NDArray[Any]) -> None:  # noqa: ARG002
        raise InputError(f"{type(self).__name__} takes no numpy array: give a path, bytes or a file object")

    @property
    def name(self) -> str:
        """A short name for messages: the path, or what was given instead of one."""
        source = self.source
        if isinstance(source, str) and source[:5].lower() == "data:":
            return f"{source[:30]}... (data: URI)"
        if isinstance(source, str | os.PathLike):
            return os.fsdecode(source)
        if isinstance(source, bytes | bytearray | memoryview):
            return f"<{len(source)} bytes of {self.modality}>"
        if isinstance(source, np.ndarray):
            return f"<{self.modality} array {source.shape}>"
        return str(getattr(source, "name", "") or f"<{type(source).__name__} of {self.modality}>")


@dataclass(frozen=True, eq=False)
class Image(Medium):
    """A picture. An array is `[height, width]`, `[height, width, 1 | 3 | 4]`; uint8 0..255, uint16, bool, or float 0..1.

    An animated file is embedded with all of its frames, as a video is.
    """

    modality: ClassVar[str] = "image"

    def _check_array(self, array: NDArray[Any]) -> None:
        if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))):
            raise InputError(f"an image array is [height, width] or [height, width, 1|3|4], not {array.shape}")
        if array.dtype.kind != "f" and array.dtype.name not in ("uint8", "uint16", "bool"):
            raise InputError(f"an image array is uint8, uint16, bool or float 0..1, not {array.dtype}: convert it")


@dataclass(frozen=True, eq=False)
class Audio(Medium):
    """Sound. An array is `[samples]` or `[samples, channels]`, float -1..1, int16 or int32, with its rate in `hz`."""

    hz: int | None = None
    modality: ClassVar[str] = "audio"

    def _check_array(self, array: NDArray[Any]) -> None:
        if not _is_positive(self.hz):
            raise InputError(f"an audio array needs its sample rate, not {self.hz!r}: Audio(samples, hz=16000)")
        if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] > 64):
            raise InputError(f"an audio array is [samples] or [samples, channels], not {array.shape}: transpose it?")
        if array.dtype.kind != "f" and array.dtype.name not in ("int16", "int32"):
            raise InputError(f"an audio array is float -1..1, int16 or int32, not {array.dtype}: convert it")


@dataclass(frozen=True, eq=False)
class Video(Medium):
    """Moving pictures with their sound. An array is `[frames, height, width, 3]` uint8, with its rate in `fps`."""

    fps: float | None = None
    modality: ClassVar[str] = "video"

    def _check_array(self, array: NDArray[Any]) -> None:
        if not _is_positive(self.fps):
            raise InputError(f"a video array needs its frame rate, not {self.fps!r}: Video(frames, fps=25)")
        if array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8:
            raise InputError(f"a video array is uint8 [frames, height, width, 3], not {array.dtype} {array.shape}")


@dataclass(frozen=True, eq=False)
class Document(Medium):
    """A PDF, a multi-page TIFF, or a text file (plain text, Markdown, HTML, source code)."""

    modality: ClassVar[str] = "document"


Part: TypeAlias = Text | Image | Audio | Video | Document


class Content:
    """An ordered list of parts that becomes ONE vector: `Content("listen: ", Audio("bell.wav"), Image("bell.png"))`.

    A bare `str` is text, a `Path` is whatever its file holds, a PIL image is an image.
    """

    def __init__(self, *parts: Part | str | Path | PIL.Image.Image) -> None:
        if not parts:
            raise InputError("an empty content has no vector: give at least one part")
        self.parts: tuple[Part | Path, ...] = tuple(_as_part(part) for part in parts)

    def __iter__(self) -> Iterator[Part | Path]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def __repr__(self) -> str:
        return f"Content({', '.join(map(repr, self.parts))})"

    @property
    def name(self) -> str:
        """A short name for messages: the names of the parts."""
        return " + ".join(part.as_posix() if isinstance(part, Path) else part.name for part in self.parts)


def as_content(item: Any) -> Content:
    """`item` as a content: a content stays itself, a bare str, path, part or PIL image is a content of one part.

    Raises:
        InputError: `item` is none of these.
    """
    return item if isinstance(item, Content) else Content(item)


def _as_part(item: Any) -> Part | Path:
    if isinstance(item, str):
        return Text(item)
    if isinstance(item, Text | Medium):
        return item  # type: ignore[return-value]
    if isinstance(item, os.PathLike):
        return Path(os.fsdecode(item))
    if _is_pil(item):
        return Image(item)
    hint = " (which modality? Image(...), Audio(..., hz=), Video(..., fps=))" if isinstance(item, np.ndarray | bytes) else ""
    raise InputError(
        f"cannot embed a {type(item).__name__}{hint}: give a str (text), a Path, a PIL image, "
        "Text, Image, Audio, Video, Document or a Content of these"
    )


def _is_positive(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and bool(0 < value < math.inf)  # type: ignore[operator]


def _is_pil(item: Any) -> bool:
    return any(cls.__module__ == "PIL.Image" and cls.__name__ == "Image" for cls in type(item).__mro__)
