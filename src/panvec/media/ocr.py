"""Text in pictures, where `rapidocr` is installed (`pip install "panvec[ocr]"`)."""

from __future__ import annotations

import importlib.util
import threading
from functools import cache
from typing import Any

from panvec.media.decoding import decoding
from panvec.media.image import RGB

_LOCK = threading.Lock()


def available() -> bool:
    """Whether text can be recognised."""
    return importlib.util.find_spec("rapidocr") is not None


def recognised(picture: RGB) -> str:
    """The lines of text in `picture`, uint8 RGB `[height, width, 3]`, from the top; '' where there is none or no `rapidocr`."""
    if not available():
        return ""
    with _LOCK, decoding("rapidocr", "a page"):
        lines = getattr(_engine()(picture[..., ::-1]), "txts", None)
    return "\n".join(lines or ())


@cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR()
