"""Open Clip Art: drawings in the public domain, with the titles that their authors wrote into the files."""

from __future__ import annotations

import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from panvec.data.builders.base import Draft, Source, clean, concept_of, medium
from panvec.data.builders.media import picture
from panvec.data.builders.packages import Package
from panvec.data.pairs import Pair, text

_PACKAGE = Package("deb", "openclipart-png", "usr/share/openclipart/png")
_UNWANTED = re.compile(r"^(computer/(icons|buttons)|shapes|special|logos|buttons|unsorted|people/clothing/pantyhose)/")
_SERIES = re.compile(r"^clip ?art by|^part of|symbol|clipart|icon set|iconset|theme|submission|sibmission|collection", re.I)
_NUMBER = re.compile(r"\(b and w\)|\bbw\b|\b[a-z]?\d+\b|(?<=[a-z])\d+\b|\br$", re.I)
_NO_CAPTION = re.compile(r"HASH|@|https?:|converted|inkscape|svg|part of|collection|copyright|draw|\byou\b", re.I)
_MOST_OF_A_TITLE = 8
_MOST_CHUNKS = 40
_MOST_TEXT = 10_000


@dataclass(frozen=True)
class _Drawing:
    file: Path
    name: str
    title: str
    author: str
    description: str


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """Picture to its title, and to its description where it has one."""
    root = packages[_PACKAGE.name]
    drawings = [_read(file, root) for file in sorted(root.rglob("*.png"))]
    often = Counter(drawing.title.casefold() for drawing in drawings)
    wanted = [drawing for drawing in drawings if _keep(draft, drawing, often[drawing.title.casefold()])]
    for drawing in draft.each(wanted, lambda drawing: drawing.name):
        path = picture(draft, drawing.name, drawing.file)
        if path:
            captions = dict.fromkeys(caption for caption in (drawing.title, drawing.description) if caption)
            sides = tuple(text(caption) for caption in captions)
            yield Pair(f"clip-{drawing.name}", medium("image", path), sides, split=draft.split(drawing.title))


def _keep(draft: Draft, drawing: _Drawing, often: int) -> bool:
    if _UNWANTED.match(drawing.name):
        draft.leave_out("drawing: an icon, a shape or a logo")
    elif not concept_of(drawing.title).replace(" ", "").isalpha() or len(drawing.title) < 3:
        draft.leave_out("drawing: no title in words")
    elif drawing.title.casefold() == drawing.author.casefold():
        draft.leave_out("drawing: titled with its author's name")
    elif often > _MOST_OF_A_TITLE or _SERIES.search(drawing.title):
        draft.leave_out("drawing: the title of a series")
    else:
        return True
    return False


def _read(file: Path, root: Path) -> _Drawing:
    name = file.relative_to(root).with_suffix("").as_posix()
    written = _texts(file)
    title = _words(written.get("Title", ""))
    if name.startswith("signs_and_symbols/flags/") and title and "flag" not in title.lower():
        title = f"flag of {title}"
    description = clean(written.get("Description", ""))
    told = len(description.split()) > 2 and description.isascii() and not _NO_CAPTION.search(description)
    return _Drawing(file, name, title, _words(written.get("Author", "")), description if told else "")


def _words(title: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", title.replace("_", " "))
    return clean(_NUMBER.sub(" ", spaced)).strip(" -,.")


def _texts(file: Path) -> dict[str, str]:
    """The texts in the head of a PNG, by keyword, without decoding its picture."""
    found: dict[str, str] = {}
    with file.open("rb") as png:
        png.seek(8)
        for _ in range(_MOST_CHUNKS):
            head = png.read(8)
            if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
                break
            size = struct.unpack(">I", head[:4])[0]
            if head[4:] in (b"tEXt", b"zTXt", b"iTXt") and size <= _MOST_TEXT:
                keyword, value = _chunk(head[4:], png.read(size))
                found[keyword] = value
                png.seek(4, 1)
            else:
                png.seek(size + 4, 1)
    return found


def _chunk(kind: bytes, data: bytes) -> tuple[str, str]:
    keyword, _, value = data.partition(b"\0")
    if kind == b"zTXt":
        value = _inflated(value[1:])
    if kind == b"iTXt":
        packed, rest = value[:1] == b"\1", value[2:].split(b"\0", 2)[-1]
        return keyword.decode("latin-1"), (_inflated(rest) if packed else rest).decode("utf-8", "replace")
    return keyword.decode("latin-1"), value.decode("latin-1")


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MOST_TEXT)
    except zlib.error:
        return b""


SOURCE = Source(
    "openclipart",
    "drawings with titles",
    (_PACKAGE,),
    "public domain",
    "2,700 pairs, 36 MB",
    pairs,
)
