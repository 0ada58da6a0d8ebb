"""Words that people of some 30 languages spoke for children's games.

KTuberling's `xx.soundtheme` names each recording by an English word; KLettres' `xx/sounds.xml` by what is said in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from panvec.data.builders.base import Draft, Source, bcp47, clean, medium
from panvec.data.builders.media import sound
from panvec.data.builders.packages import Package
from panvec.data.pairs import Pair, text

_WORDS = Package("deb", "ktuberling-data", "usr/share/ktuberling/sounds")
_SYLLABLES = Package("deb", "klettres-data", "usr/share/klettres")
_SOUND = re.compile(r'<sound\s+name="([^"]+)"\s+file="([^"]+)"')
_MOST_BYTES = 200_000
_SHORTEST = 2


@dataclass(frozen=True)
class _Word:
    item: str
    said: str
    file: Path
    language: str


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """Recording to the English word, or to the syllable that it is."""
    words = list(_words(packages[_WORDS.name])) + list(_syllables(draft, packages[_SYLLABLES.name]))
    for word in draft.each(words, lambda word: f"{word.item} {word.language} {word.file.name}"):
        if not word.file.is_file():
            draft.leave_out("sound: named, but not in the package")
            continue
        path = sound(draft, f"{word.language} {word.said} {word.file.name}", word.file)
        if path:
            split = draft.split(word.said)
            yield Pair(word.item, medium("audio", path), (text(word.said),), split=split, language=word.language)


def _words(root: Path) -> Iterator[_Word]:
    for theme in sorted(root.glob("*.soundtheme")):
        for name, file in _sounds(theme):
            said = clean(name.partition("_")[2] or name)
            yield _Word(f"word-{name}", said, _inside(root, file), bcp47(theme.stem))


def _syllables(draft: Draft, root: Path) -> Iterator[_Word]:
    for index in sorted(root.glob("*/sounds.xml")):
        language = bcp47(index.parent.name)
        for name, file in _sounds(index):
            said = clean(name).lower()
            if len(said) < _SHORTEST:
                draft.leave_out("sound: the name of a letter")
            else:
                yield _Word(f"syllable-{language}-{said}", said, _inside(root, file), language)


def _sounds(index: Path) -> list[tuple[str, str]]:
    return _SOUND.findall(index.read_bytes()[:_MOST_BYTES].decode("utf-8", "replace"))


def _inside(root: Path, file: str) -> Path:
    """The file; the folder itself, which is none, where it lies outside."""
    path = (root / file).resolve()
    return path if path.is_relative_to(root.resolve()) else root


SOURCE = Source(
    "spoken",
    "words and syllables that people spoke, in some 30 languages",
    (_WORDS, _SYLLABLES),
    "GPL-2.0-or-later",
    "3,100 pairs, 90 MB",
    pairs,
)
