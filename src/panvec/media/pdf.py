"""Pages of a PDF, through pdfium: one call at a time, because pdfium is not thread-safe."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw
from numpy.typing import NDArray

from panvec.content import Limits
from panvec.errors import LimitError, MediaError
from panvec.media.decoding import decoding
from panvec.media.image import RGB, check_pixels, on_white
from panvec.media.source import Blob

_PDFIUM = threading.RLock()
"""Reentrant: a generator that is collected inside a locked call closes its document in the same thread."""

_FIGURES = 6
_FIGURE_AREA = 0.03
_FIGURE_SIDE = 48
_LONGEST = 4
_SCAN_SIDE = 1400


@dataclass(frozen=True, eq=False)
class PdfPage:
    """One page, counted from 1: its text layer, its pictures, and `scan`, which renders it for OCR, where it has few words."""

    number: int
    text: str
    pictures: list[RGB]
    scan: Callable[[], RGB] | None


def pdf_pages(blob: Blob, limits: Limits, at_least: int, few_words: int) -> Iterator[PdfPage]:
    """The pages of the PDF in `blob`, each with its figures, or with few words with a picture of the page (none when blank).

    Raises:
        MediaError: damaged, encrypted, or without pages. LimitError: over `document_pages` or `image_pixels`.
    """
    with decoding(blob.name, "a PDF"):
        with _PDFIUM:
            document = _opened(blob)
        try:
            with _PDFIUM:
                count = len(document)
            check_pages(blob.name, count, limits)
            for index in range(count):
                with _PDFIUM:
                    page = _read(document, index, blob.name, limits, at_least=at_least, few_words=few_words)
                yield page
        finally:
            with _PDFIUM:
                document.close()


def check_pages(name: str, pages: int, limits: Limits) -> None:
    """Nothing, when a document has 1 to `limits.document_pages` pages; else MediaError or LimitError."""
    if not pages:
        raise MediaError(f"{name}: has no pages")
    if pages > limits.document_pages:
        raise LimitError(
            f"{name}: has {pages:,} pages, over the limit of {limits.document_pages:,}: "
            "split it, or raise Limits.document_pages"
        )


def _opened(blob: Blob) -> Any:
    try:
        return pdfium.PdfDocument(blob.path if blob.path is not None else blob.data)
    except pdfium.PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise MediaError(f"{blob.name}: is an encrypted PDF: save a copy without its password") from error
        raise


def _read(document: Any, index: int, name: str, limits: Limits, *, at_least: int, few_words: int) -> PdfPage:
    try:
        page = document[index]
    except pdfium.PdfiumError as error:
        raise MediaError(f"{name}: page {index + 1} is damaged and cannot be loaded") from error
    try:
        text = _text(page)
        if len(text.split()) >= few_words:
            return PdfPage(index + 1, text, _figures(page, name, limits, at_least), None)
        picture = _rendered(page, at_least)
        if not (picture != picture[0, 0]).any():
            return PdfPage(index + 1, text, [], None)
        return PdfPage(index + 1, text, [picture], partial(_scan, document, index))
    finally:
        page.close()


def _scan(document: Any, index: int) -> RGB:
    with _PDFIUM:
        return _rendered(document[index], _SCAN_SIDE)


def _text(page: Any) -> str:
    textpage = page.get_textpage()
    try:
        text: str = textpage.get_text_bounded(errors="ignore")
    finally:
        textpage.close()
    return text.replace("\r\n", "\n").replace("\ufffe", "").replace("\0", "").strip()


def _figures(page: Any, name: str, limits: Limits, at_least: int) -> list[RGB]:
    figures = [
        figure for figure in page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE], max_depth=4) if _counts(page, figure)
    ]
    for figure in figures:
        check_pixels(f"{name}: a figure", figure.get_px_size(), limits.image_pixels)
    if len(figures) > _FIGURES:
        return [_rendered(page, at_least)]
    return [_pixels(figure.get_bitmap(render=True)) for figure in figures]


def _counts(page: Any, figure: Any) -> bool:
    """Whether `figure` is large enough, on the page and in pixels, to be looked at."""
    left, bottom, right, top = figure.get_bounds()
    share = (right - left) * (top - bottom) / (page.get_width() * page.get_height())
    return bool(share >= _FIGURE_AREA and min(figure.get_px_size()) >= _FIGURE_SIDE)


def _rendered(page: Any, at_least: int) -> RGB:
    width, height = page.get_size()
    if not (0 < width < math.inf and 0 < height < math.inf):
        return np.full((1, 1, 3), 255, np.uint8)
    scale = min(at_least / min(width, height), _LONGEST * at_least / max(width, height))
    return _pixels(page.render(scale=scale))


def _pixels(bitmap: Any) -> RGB:
    """A pdfium bitmap (grey, BGR, BGRx or BGRA), which is closed, as RGB on white: a copy, so that closing it is safe."""
    bitmap.warn_on_close = False
    try:
        values: NDArray[np.uint8] = bitmap.to_numpy()
        if bitmap.format == pypdfium2.raw.FPDFBitmap_Gray:
            return np.repeat(values.reshape(bitmap.height, bitmap.width, 1), 3, axis=2)
        colour = values[..., 2::-1]
        if bitmap.format != pypdfium2.raw.FPDFBitmap_BGRA:
            return np.ascontiguousarray(colour)
        return on_white(colour, values[..., 3:])
    finally:
        bitmap.close()
