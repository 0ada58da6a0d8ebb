"""Documents: PDF, multi-page TIFF and text files, page by page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from panvec.content import Document, Limits
from panvec.errors import MediaError
from panvec.media.decoding import decoding
from panvec.media.formats import sniff, unreadable
from panvec.media.image import RGB, check_pixels, open_picture, rgb_of, tiff_pages
from panvec.media.ocr import recognised
from panvec.media.pdf import PdfPage, check_pages, pdf_pages
from panvec.media.source import Blob, check_size, resolve
from panvec.media.text import decode_text, is_html, visible_text

FEW_WORDS = 20
"""Words under which a page's text is not taken to be all that it says."""


@dataclass(frozen=True, eq=False)
class Page:
    """One page of a document, counted from 1: its text ('' without any) and its pictures, uint8 RGB `[height, width, 3]`."""

    number: int
    text: str
    pictures: list[RGB]


def read_document(document: Document, limits: Limits, *, at_least: int = 512) -> Iterator[Page]:
    """The document page by page; a text file is one page without pictures.

    A PDF page with `FEW_WORDS` or more gives its text and its figures: raster images of 3 % of the page or more and 48 px or
    more; of more than six figures (a scan cut in strips, a mosaic) the page as a whole takes the place. Drawings of lines on
    such a page are not pictured. A page with fewer words gives a picture of the whole page, and where `rapidocr` is installed
    the text it recognises. Blank pages have neither. The shorter side of a picture of a page is about `at_least`.

    Raises:
        MediaError: no document, damaged, encrypted, or without text and pictures on any page.
        LimitError: over `document_bytes`, `document_pages`, `text_bytes` (text files), or `image_pixels` (one picture).
    """
    blob = resolve(document, limits)
    empty = True
    for page in _pages(blob, limits, at_least):
        empty = empty and not page.text and not page.pictures
        yield page
    if empty:
        raise MediaError(f"{blob.name}: is blank: there is neither text nor a picture on any page")


def first_page(document: Document, limits: Limits, *, at_least: int = 512) -> Page:
    """The first page to look at: that of a PDF as one picture, whatever its text, and no text is recognised in it.

    Raises:
        MediaError, LimitError: as `read_document`, but a blank page is no error.
    """
    blob = resolve(document, limits)
    found = sniff(blob.head())
    if found is None or found.name != "PDF":
        return next(_pages(blob, limits, at_least))
    page = next(pdf_pages(blob, limits, at_least, few_words=sys.maxsize))
    return Page(page.number, page.text, page.pictures)


def _pages(blob: Blob, limits: Limits, at_least: int) -> Iterator[Page]:
    head = blob.head()
    found = sniff(head)
    if found is not None and found.name == "PDF":
        return (_pdf_page(page) for page in pdf_pages(blob, limits, at_least, FEW_WORDS))
    if found is not None and found.name == "TIFF":
        return _tiff_pages(blob, limits, at_least)
    if found is not None:
        raise unreadable(blob.name, head, "document")
    return iter([Page(1, _text(blob, limits), [])])


def _pdf_page(page: PdfPage) -> Page:
    if page.scan is None:
        return Page(page.number, page.text, page.pictures)
    return Page(page.number, recognised(page.scan()) or page.text, page.pictures)


def _tiff_pages(blob: Blob, limits: Limits, at_least: int) -> Iterator[Page]:
    with decoding(blob.name, "a TIFF"), blob.open() as file:
        picture = open_picture(blob, file, limits.image_pixels)
        pages = tiff_pages(picture)
        check_pages(blob.name, len(pages), limits)
        for number, index in enumerate(pages, 1):
            picture.seek(index)
            check_pixels(blob.name, picture.size, limits.image_pixels)
            yield Page(number, recognised(rgb_of(picture, 2 * at_least)), [rgb_of(picture, at_least)])


def _text(blob: Blob, limits: Limits) -> str:
    check_size(blob.name, blob.size, limits.text_bytes)
    text = decode_text(blob.read(), blob.name)
    return (visible_text(text) if is_html(text) else text).strip("\n\r\x00 \t\ufeff")
