"""Tux Paint's stamps: pictures with captions in some 78 locales, many of them spoken, and a hundred sound effects.

`NAME.txt` has the English caption in its first line and `xx.utf8=caption` in the others; beside it are `NAME.png` or
`NAME.svg`, the spoken captions `NAME_desc.ogg` (English) and `NAME_desc_xx.ogg`, and `NAME.ogg`, what it sounds like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from panvec.data.builders.base import Draft, Source, bcp47, clean, medium
from panvec.data.builders.media import can_render, picture, sound
from panvec.data.builders.packages import Package
from panvec.data.pairs import Pair, text

_PACKAGE = Package("deb", "tuxpaint-stamps-default", "usr/share/tuxpaint/stamps")
_CAPTION = re.compile(r"([a-z]{2,3}(?:[_@][A-Za-z]+)*)\.utf8=(.*)")
_SPOKEN = re.compile(r"_desc(?:_([a-z]{2,3}(?:[_@][A-Za-z]+)*))?$")
_POOR = {"ar"}
"""Locales whose captions are not worth learning from."""
_MOST_BYTES = 100_000
_FEW_WORDS = 2
_NUMBERS = "symbols/math/"
_SYMBOLS = "symbols/"


@dataclass(frozen=True)
class _Stamp:
    name: str
    base: Path
    captions: dict[str, str]
    """By language tag; English is `en`."""


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """Picture to caption, one pair for each language; spoken caption to caption; sound effect to caption."""
    root = packages[_PACKAGE.name]
    files = sorted(root.rglob("*.txt"))
    _count_nameless(draft, root)
    for file in draft.each(files, lambda file: file.relative_to(root).as_posix()):
        stamp = _read(draft, root, file)
        if stamp:
            yield from _pictures(draft, stamp)
            yield from _speech(draft, stamp)
            yield from _effect(draft, stamp)


def _read(draft: Draft, root: Path, file: Path) -> _Stamp | None:
    lines = file.read_bytes()[:_MOST_BYTES].decode("utf-8", "replace").splitlines()
    english = clean(lines[0]) if lines else ""
    if not english:
        draft.leave_out("stamp: no English caption")
        return None
    captions = {"en": english}
    for locale, caption in _CAPTION.findall("\n".join(lines[1:])):
        reason = _fault(locale, clean(caption), english)
        if reason:
            draft.leave_out(f"caption: {reason}")
        else:
            captions[bcp47(locale)] = clean(caption)
    name = file.relative_to(root).with_suffix("").as_posix()
    return _Stamp(name, file.with_suffix(""), captions)


def _fault(locale: str, caption: str, english: str) -> str:
    if locale in _POOR:
        return f"{locale} is poor"
    if not any(map(str.isalnum, caption)) or "\ufffd" in caption:
        return "empty or damaged"
    untranslated = caption == english and (locale.startswith("en_") or len(english.split()) > _FEW_WORDS)
    return "the same as in English" if untranslated else ""


def _pictures(draft: Draft, stamp: _Stamp) -> Iterator[Pair]:
    source = _drawing(draft, stamp)
    path = picture(draft, stamp.name, source) if source else None
    if path:
        for language, caption in sorted(stamp.captions.items()):
            yield _pair(draft, stamp, "image", path, caption, language)


def _drawing(draft: Draft, stamp: _Stamp) -> Path | None:
    png, svg = _with(stamp.base, ".png"), _with(stamp.base, ".svg")
    if png.is_file():
        return png
    if not svg.is_file():
        draft.leave_out("stamp: a caption without a picture")
        return None
    if not can_render():
        draft.leave_out("picture: an SVG, and resvg-py is not installed")
        return None
    return svg


def _speech(draft: Draft, stamp: _Stamp) -> Iterator[Pair]:
    for file in _sounds(stamp, "_*"):
        spoken = _SPOKEN.fullmatch(file.stem.removeprefix(stamp.base.name))
        if spoken:
            yield from _said(draft, stamp, file, spoken[1] or "en")
        elif stamp.name.startswith(_NUMBERS):
            yield from _said(draft, stamp, file, file.stem.removeprefix(f"{stamp.base.name}_"))


def _effect(draft: Draft, stamp: _Stamp) -> Iterator[Pair]:
    for file in _sounds(stamp, ""):
        if stamp.name.startswith(_SYMBOLS) and not stamp.name.startswith(_NUMBERS):
            draft.leave_out("sound: a letter's name, which is not what the caption says")
        else:
            yield from _said(draft, stamp, file, "en")


def _said(draft: Draft, stamp: _Stamp, file: Path, locale: str) -> Iterator[Pair]:
    caption = stamp.captions.get(bcp47(locale)) or (stamp.captions["en"] if locale == "en_GB" else "")
    if not caption:
        draft.leave_out("sound: no caption in its language")
        return
    path = sound(draft, f"{stamp.name} {file.name}", file)
    if path:
        yield _pair(draft, stamp, "audio", path, caption, bcp47(locale))


def _pair(draft: Draft, stamp: _Stamp, modality: str, path: Path, caption: str, language: str) -> Pair:
    split = draft.split(stamp.captions["en"])
    return Pair(stamp.name, medium(modality, path), (text(caption),), split=split, language=language)


def _sounds(stamp: _Stamp, rest: str) -> list[Path]:
    folder, name = stamp.base.parent, stamp.base.name
    return sorted(file for suffix in (".ogg", ".wav") for file in folder.glob(f"{escape(name)}{rest}{suffix}"))


def _with(base: Path, suffix: str) -> Path:
    return base.parent / f"{base.name}{suffix}"


def _count_nameless(draft: Draft, root: Path) -> None:
    named = {file.with_suffix("") for file in root.rglob("*.txt")}
    pictures = {file.with_suffix("") for suffix in ("png", "svg") for file in root.rglob(f"*.{suffix}")}
    if pictures - named:
        draft.leave_out("picture: without a caption (most are mirrored)", len(pictures - named))


SOURCE = Source(
    "tuxpaint",
    "drawings and photos with captions in 76 languages, spoken captions, sounds",
    (_PACKAGE,),
    "GPL-2.0",
    "65,000 pairs, 210 MB",
    pairs,
)
