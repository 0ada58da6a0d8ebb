"""Translated programs: the strings of gettext's catalogues, `LC_MESSAGES/*.mo`. Here a game's stories, in some 40 languages."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from panvec.data.builders.base import Draft, Source, bcp47, clean, digest, some_of
from panvec.data.builders.packages import Package
from panvec.data.pairs import Pair, text
from panvec.errors import InputError

_PACKAGE = Package("deb", "wesnoth-1.16-data", "usr/share/games/wesnoth/1.16/locale")
_MOST_BYTES = 50_000_000
_MOST_PER_LANGUAGE = 4_000
_WORDS = range(4, 121)
_CODE = re.compile(r"[<>{}$%|\\]|https?:|\w_\w|\w\.\w+\(")
_CONTEXT = re.compile(r"^[^\x04]*\x04|^[a-z_/ ]+\^")
"""What stands before a string to tell it from another: gettext's, and the game's own."""
_SKIPPED = ("en",)


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """A string in each language to the English one."""
    translated = _languages(draft, packages[_PACKAGE.name])
    strings = sorted({english for strings in translated.values() for english in strings})
    for english in draft.each(strings, str):
        item, split = f"string-{digest(english):016x}", draft.split(english)
        for language, strings_of in translated.items():
            if english in strings_of:
                yield Pair(item, text(strings_of[english]), (text(english),), split=split, language=language)


def _languages(draft: Draft, root: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for file in sorted(root.glob("*/LC_MESSAGES/*.mo")):
        language = bcp47(file.parents[1].name)
        if language.split("-")[0] not in _SKIPPED:
            found.setdefault(language, {}).update(_strings(draft, file))
    return {language: _sample(draft, strings) for language, strings in found.items()}


def _sample(draft: Draft, strings: dict[str, str]) -> dict[str, str]:
    """As many strings as a language may have: the same ones in each, where it has them."""
    draft.leave_out(f"string: more than {_MOST_PER_LANGUAGE} in a language", len(strings) - _MOST_PER_LANGUAGE)
    return {english: strings[english] for english in some_of(strings, _MOST_PER_LANGUAGE, "")}


def _strings(draft: Draft, file: Path) -> Iterator[tuple[str, str]]:
    for original, translation in catalogue(file):
        english, other = clean(_CONTEXT.sub("", original)), clean(translation)
        if len(english.split()) not in _WORDS or not other or other == english:
            draft.leave_out("string: not translated, under 4 or over 120 words")
        elif _CODE.search(english) or _CODE.search(other):
            draft.leave_out("string: with markup or variables")
        else:
            yield english, other


def catalogue(file: Path) -> Iterator[tuple[str, str]]:
    """The strings of a compiled catalogue and their translations; of plurals, the first form of both.

    Raises:
        InputError: it is none, or damaged.
    """
    with file.open("rb") as opened:
        data = opened.read(_MOST_BYTES)
    order = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}.get(data[:4])
    try:
        if not order:
            raise ValueError("it does not begin as one does")
        count, originals, translations = struct.unpack(f"{order}3I", data[8:20])
        for number in range(count):
            entries = [_entry(data, order, table + 8 * number) for table in (originals, translations)]
            if all(entries):
                yield entries[0], entries[1]
    except (struct.error, ValueError) as error:
        raise InputError(f"{file} is no catalogue of gettext, or damaged: {error}: fetch its package again") from error


def _entry(data: bytes, order: str, offset: int) -> str:
    length, start = struct.unpack(f"{order}2I", data[offset : offset + 8])
    if start + length > len(data):
        raise ValueError("a string past its end")
    return data[start : start + length].split(b"\0")[0].decode("utf-8", "replace")


SOURCE = Source(
    "catalogues",
    "strings of a game in 50 languages, and in English",
    (_PACKAGE,),
    "GPL-2.0-or-later",
    "42,000 pairs, 16 MB",
    pairs,
)
