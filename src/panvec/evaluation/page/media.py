"""Media inside the page: small pictures, the first seconds of sounds, the first frame or page of others, as data URIs."""

from __future__ import annotations

import base64
import io
import wave
from html import escape
from itertools import islice
from pathlib import Path

import numpy as np
import PIL.Image

from panvec.content import Audio, Document, Image, Limits, Video
from panvec.errors import PanvecError
from panvec.media.audio import read_audio
from panvec.media.document import first_page
from panvec.media.image import RGB, read_image
from panvec.media.video import read_video

_SIDE = 160
_PAGE_SIDE = 280
_SECONDS = 3.0
_HZ = 8_000
_TEXT = 240


def show(kind: str, value: str) -> str:
    """A part of a content as HTML: its text, or its medium with the name of its file; what cannot be read is only named."""
    if kind == "text":
        return _quoted(value)
    name = escape(Path(value).name)
    try:
        return f"<figure>{_medium(kind, Path(value))}<figcaption>{name}</figcaption></figure>"
    except (PanvecError, OSError):
        return f"<figure><figcaption>{name} (cannot be shown)</figcaption></figure>"


def _medium(kind: str, path: Path) -> str:
    if kind == "image":
        return _picture(read_image(Image(path), Limits()))
    if kind == "audio":
        return f'<audio controls preload="none" src="data:audio/wav;base64,{_encoded(_wav(path))}"></audio>'
    if kind == "video":
        return _picture(next(read_video(Video(path), Limits())).frames[0].pixels)
    page = first_page(Document(path), Limits())
    return _picture(page.pictures[0], _PAGE_SIDE) if page.pictures else _quoted(page.text)


def _quoted(text: str) -> str:
    return f"<q>{escape(text[:_TEXT])}{'...' if len(text) > _TEXT else ''}</q>"


def _picture(pixels: RGB, side: int = _SIDE) -> str:
    picture = PIL.Image.fromarray(pixels)
    picture.thumbnail((side, side))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=75)
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<img alt="" {size} src="data:image/jpeg;base64,{_encoded(out.getvalue())}">'


def _wav(path: Path) -> bytes:
    stretches = islice(read_audio(Audio(path), Limits(), hz=_HZ, seconds=_SECONDS), 1)
    samples = np.concatenate([stretch.samples for stretch in stretches])
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, _HZ, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
