"""Text files: bytes to str whatever the encoding, and HTML to what a reader would see."""

from __future__ import annotations

import codecs
import html
import re
from html.parser import HTMLParser

from panvec.errors import MediaError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHARSET = re.compile(
    rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*"
    rb"((?:windows|cp|ibm|iso|latin|koi8|mac|gb|hz|big5|euc|shift|sjis|ks_c|johab|tis)[\w-]{0,30})",
    re.IGNORECASE,
)
"""Of encodings of pages only: Python's codecs also know zlib, base64, idna and others that are no harmless text."""
_ASCII = bytes(range(128))
_CONTROL = re.compile(r"[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f]")
_PROLOGUE = re.compile(r"\s+|<\?xml[^>]*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_HTML = re.compile(r"<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_UNSEEN = re.compile(r"<!--|<!\[|<script\b|<style\b", re.IGNORECASE)
_ENDS = {
    "<!--": re.compile(r"--!?>"),
    "<![": re.compile(r"\]>"),
    "<script": re.compile(r"</script\b[^>]*>", re.IGNORECASE),
    "<style": re.compile(r"</style\b[^>]*>", re.IGNORECASE),
}
_HIDDEN = frozenset(("script", "style", "template", "svg", "noscript", "iframe", "object", "title"))
_BLOCK_TAGS = (
    "address article aside blockquote br caption dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 "
    "header hr li main nav ol option p pre section summary table td th tr ul"
)
_BLOCKS = frozenset(_BLOCK_TAGS.split())


def decode_text(data: bytes, name: str, *, cut: bool = False) -> str:
    """`data` as text: by its byte order mark, as UTF-8, as UTF-16, by the charset that its HTML declares, else as cp1252.

    Args:
        cut: `data` is only the beginning, so its last character may be incomplete.

    Raises:
        MediaError: it is no text, or text in another encoding.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _printable(_decoded(data[len(bom) :], encoding, name, cut), name)
    for encoding in _guesses(data):
        try:
            return _printable(_decoded(data, encoding, name, cut), name)
        except MediaError:
            continue
    return _western(data, name)


def is_html(text: str) -> bool:
    """Whether `text` begins as an HTML page does."""
    head, at = text[:4096], 0
    while (skipped := _PROLOGUE.match(head, at)) is not None:
        at = skipped.end()
    return _HTML.match(head, at) is not None


def visible_text(source: str) -> str:
    """What a reader sees of the HTML `source`: the title first, a line for each block, no scripts and no styles.

    It takes time in proportion to the length, also of malformed pages, on which `HTMLParser` alone takes its square.
    """
    page = _Page()
    tagged, close, rest = _without_unseen(source).rpartition(">")
    page.feed(tagged + close)
    page.close()
    page.handle_data(html.unescape(rest))
    lines = (" ".join(line.split()) for line in "".join(page.body).split("\n"))
    title = " ".join("".join(page.title).split())
    return "\n".join(filter(None, (title, *lines)))


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.body: list[str] = []
        self.hidden = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self.hidden = self.hidden or tag
        elif tag in _BLOCKS:
            self.body.append("\n")
        elif tag == "img" and not self.hidden:
            self.body.append(f" {dict(attrs).get('alt') or ''} ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HIDDEN:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == self.hidden:
            self.hidden = ""
        elif tag in _BLOCKS:
            self.body.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.body.append(data.replace("\n", " "))
        elif self.hidden == "title":
            self.title.append(data)


def _without_unseen(source: str) -> str:
    """`source` without comments, marked sections, scripts and styles. A comment that never ends is taken for text."""
    kept: list[str] = []
    endless: set[str] = set()
    at = 0
    for opening in _UNSEEN.finditer(source):
        kind = opening[0].lower()
        if opening.start() < at or kind in endless:
            continue
        end = _ENDS[kind].search(source, opening.start() + 2)
        if end is None:
            endless.add(kind)
            continue
        kept.append(source[at : opening.start()])
        at = end.end()
    kept.append(source[at:])
    return "".join(kept).replace("<!--", " ").replace("<![", " ")


def _guesses(data: bytes) -> list[str]:
    even, odd = data[0:2000:2].count(0), data[1:2000:2].count(0)
    if even + odd and max(even, odd) > 0.3 * len(data[:2000]) / 2:
        return ["utf-16-be" if even > odd else "utf-16-le"]
    declared = _CHARSET.search(data[:4096])
    return ["utf-8", declared[1].decode("ascii")] if declared else ["utf-8"]


def _decoded(data: bytes, encoding: str, name: str, cut: bool) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data, final=not cut)
    except (ValueError, LookupError) as error:
        raise MediaError(f"{name}: begins as {encoding} text and is not ({error})") from error


def _printable(text: str, name: str) -> str:
    if len(_CONTROL.findall(text)) > 0.001 * len(text):
        raise _no_text(name)
    return text


def _western(data: bytes, name: str) -> str:
    if len(data.translate(None, _ASCII)) > 0.3 * len(data):
        raise _no_text(name)
    return _printable(data.decode("cp1252", errors="replace"), name)


def _no_text(name: str) -> MediaError:
    return MediaError(
        f"{name}: not a text in UTF-8, UTF-16 or Latin-1, nor any other format that panvec reads: save it as UTF-8"
    )
