"""Media into a folder of pairs: pictures made small and flat, sounds checked and copied."""

from __future__ import annotations

import io
import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image

from panvec.content import Audio, Image, Limits
from panvec.data.builders.base import Draft
from panvec.errors import InputError, MediaError
from panvec.media.audio import read_audio
from panvec.media.image import read_image

SIDE = 260
"""The longest side of a picture, in pixels: what the vision tower looks at."""
_SHORTEST_SIDE = 24
_JPEG_QUALITY = 90
_BIG_PNG = 15_000
"""Bytes from which a JPEG is tried: a photo, or a drawing with many shades."""
_DPI = 96
_TRIAL = 4
"""The width in pixels of a first drawing, which tells whether the height is the longer side."""
_SVG_BYTES = 2_000_000
_UNSAFE_SVG = re.compile(r"<(?:\w+:)?(?:image|text|script)\b|<!ENTITY")
_LIMITS = Limits(image_bytes=30_000_000, image_pixels=60_000_000, audio_bytes=50_000_000, audio_seconds=60)
_QUIET = 1e-3


def picture(draft: Draft, name: str, source: Path | bytes) -> Path | None:
    """A picture from a file, or from an SVG or PNG in memory, written into the draft; None, and counted, where it is no use."""
    try:
        pixels = read_image(Image(_rendered(source)), _LIMITS, at_least=SIDE)
    except MediaError as error:
        draft.leave_out(f"picture: {_reason(error)}")
        return None
    if min(pixels.shape[:2]) < _SHORTEST_SIDE or max(pixels.shape[:2]) > 8 * min(pixels.shape[:2]):
        draft.leave_out(f"picture: a side under {_SHORTEST_SIDE} pixels, or eight times the other")
        return None
    if int(pixels.max()) - int(pixels.min()) < 8:
        draft.leave_out("picture: all of one colour")
        return None
    return _saved(draft, name, PIL.Image.fromarray(pixels))


def can_render() -> bool:
    """Whether SVG can be rendered."""
    try:
        import resvg_py  # noqa: F401
    except ImportError:
        return False
    return True


def need_renderer(what: str) -> None:
    """Nothing, when SVG can be rendered.

    Raises:
        InputError: it cannot.
    """
    if not can_render():
        raise InputError(f'{what} is drawn from SVG, which needs resvg-py: pip install "panvec[data]"')


def sound(draft: Draft, name: str, source: Path) -> Path | None:
    """A sound file copied into the draft, once it was heard to its end; None, and counted, where it is no use."""
    try:
        loudest = max(float(np.abs(part.samples).max()) for part in read_audio(Audio(source), _LIMITS))
    except MediaError as error:
        draft.leave_out(f"sound: {_reason(error)}")
        return None
    if loudest < _QUIET:
        draft.leave_out("sound: silent")
        return None
    path = draft.path(name, source.suffix.lower())
    shutil.copyfile(source, path)
    return path


def _rendered(source: Path | bytes) -> Path | bytes:
    svg = source.suffix == ".svg" if isinstance(source, Path) else not source.startswith(b"\x89PNG")
    if not svg:
        return source
    data = source if isinstance(source, bytes) else _head(source, _SVG_BYTES + 1)
    if len(data) > _SVG_BYTES:
        raise MediaError("an SVG over 2 MB")
    text = data.decode("utf-8", "replace")
    if _UNSAFE_SVG.search(text):
        raise MediaError("an SVG with fonts, entities, scripts or pictures inside")
    return _drawn(text)


def _drawn(svg: str) -> bytes:
    import resvg_py

    draw = partial(resvg_py.svg_to_bytes, svg_string=svg, background="white", skip_system_fonts=True, dpi=_DPI)
    try:
        height = int.from_bytes(bytes(draw(width=_TRIAL))[20:24])
        return bytes(draw(width=SIDE) if height <= _TRIAL else draw(height=SIDE))
    except ValueError:
        raise MediaError("an SVG that cannot be drawn") from None


def _head(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most)


def _saved(draft: Draft, name: str, image: PIL.Image.Image) -> Path:
    image.thumbnail((SIDE, SIDE), PIL.Image.Resampling.LANCZOS)
    data, suffix = _encoded(image, "PNG"), ".png"
    if len(data) > _BIG_PNG:
        data, suffix = min((data, ".png"), (_encoded(image, "JPEG", quality=_JPEG_QUALITY, subsampling=0), ".jpg"), key=_size)
    path = draft.path(name, suffix)
    path.write_bytes(data)
    return path


def _encoded(image: PIL.Image.Image, form: str, **options: int) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def _size(kind: tuple[bytes, str]) -> int:
    return len(kind[0])


def _reason(error: MediaError) -> str:
    """The reason without the name, numbers and the way out, so that equal ones count together."""
    plain = re.sub(r"^.*?: ", "", str(error).split("\n")[0])
    return re.sub(r"[\d.,]*\d", "N", plain)[:80]
