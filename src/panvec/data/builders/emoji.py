"""Emoji in nine designs, with their names in more than a hundred languages.

A concept is an emoji without skin tones and variation selectors. Its query is its name in one language; the positives
are its pictures: every design in English, a few of them, by turns, in other languages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from panvec.data.builders.base import Draft, Source, bcp47, clean, medium, some_of
from panvec.data.builders.iconify import PACKAGE, IconSet, free_set
from panvec.data.builders.media import need_renderer, picture
from panvec.data.builders.packages import Package
from panvec.data.pairs import Pair, text
from panvec.errors import InputError

_NAMES = Package("deb", "unicode-cldr-core", "usr/share/unicode/cldr/common")
_DESIGNS = (
    "noto",
    "twemoji",
    "openmoji",
    "fluent-emoji-flat",
    "noto-v1",
    "emojione",
    "emojione-v1",
    "fxemoji",
    "fluent-emoji-high-contrast",
)
_POOR = {"en_001", "root"}
_BY_TURNS = 4
_INHERITED = "\u2191" * 3
_MOST_KEYWORDS = 6
_MOST_BYTES = 20_000_000
_SKIN = re.compile("[\U0001f3fb-\U0001f3ff]")
_GENDER = re.compile("\u200d[\u2640\u2642]")
_ADULT = re.compile("[\U0001f468\U0001f469](?=\u200d)")


@dataclass(frozen=True)
class _Names:
    """The names and keywords of one language, by emoji."""

    language: str
    names: dict[str, str]
    keywords: dict[str, list[str]]


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """Name, and in English also keywords, to the pictures of a concept."""
    need_renderer("an emoji")
    designs = list(_designs(draft, packages[PACKAGE.name]))
    icons = _icons(designs)
    languages = _languages(draft, packages[_NAMES.name])
    english = next((names for names in languages if names.language == "en"), None)
    if not english:
        raise InputError(f"{packages[_NAMES.name]} has no annotations/en.xml: fetch {_NAMES.name} again")
    named = [emoji for emoji in icons if emoji in english.names]
    draft.leave_out("concept: no English name", len(icons) - len(named))
    for emoji in draft.each(named, str):
        yield from _concept(draft, emoji, icons[emoji], english, languages)


def _concept(draft: Draft, emoji: str, icons: dict[str, bytes], english: _Names, languages: list[_Names]) -> Iterator[Pair]:
    drawn = {name: picture(draft, f"{emoji_code(emoji)} {name}", svg) for name, svg in icons.items()}
    paths = [path for path in drawn.values() if path]
    if not paths:
        return
    split = draft.split(english.names.get(_neutral(emoji), english.names[emoji]))
    item = f"emoji-{emoji_code(emoji)}"
    for names in languages:
        if emoji in names.names:
            chosen = (
                paths if names is english else some_of(paths, _BY_TURNS, f"{emoji} {names.language}", lambda path: path.name)
            )
            sides = tuple(medium("image", path) for path in chosen)
            yield Pair(item, text(names.names[emoji]), sides, split=split, language=names.language)
    keywords = english.keywords.get(emoji, [])
    if len(keywords) > 1:
        sides = tuple(medium("image", path) for path in paths)
        yield Pair(item, text(", ".join(keywords[:_MOST_KEYWORDS])), sides, split=split, language="en")


def emoji_code(emoji: str) -> str:
    """The code points of an emoji, as file names of emoji have them: 1f468-200d-1f373."""
    return "-".join(f"{ord(character):x}" for character in emoji)


def _neutral(emoji: str) -> str:
    """The emoji for a person of any gender: a concept's man and woman go where it goes."""
    return _ADULT.sub("\U0001f9d1", _GENDER.sub("", emoji))


def _designs(draft: Draft, index: Path) -> Iterator[IconSet]:
    for name in _DESIGNS:
        found = free_set(index, name)
        if found:
            draft.licences[f"{name}: {found.licence}"] = len(found.names)
            yield found
        else:
            draft.leave_out("design: not in the package, or not free")


def _icons(designs: list[IconSet]) -> dict[str, dict[str, bytes]]:
    """The drawings of each emoji, by design. A set without code points is read by the names of those that have them."""
    emoji_of = {_plain(name): _emoji(code) for icons in designs for code, name in icons.data.get("chars", {}).items()}
    for icons in designs:
        aliases = {_plain(alias): icons.resolve(alias) for alias in icons.data.get("aliases", {})}
        known = {alias: emoji_of[_plain(name)] for alias, name in aliases.items() if name and _plain(name) in emoji_of}
        emoji_of = known | emoji_of
    found: dict[str, dict[str, bytes]] = {}
    for icons in designs:
        for name in icons.names:
            emoji = emoji_of.get(_plain(name))
            if emoji and not _SKIN.search(emoji) and "skin-tone" not in name:
                found.setdefault(emoji, {}).setdefault(icons.name, icons.svg(name))
    return found


def _plain(name: str) -> str:
    return name.replace("-", "")


def _emoji(code: str) -> str:
    return "".join(chr(int(point, 16)) for point in code.split("-") if point.lower() != "fe0f")


def _languages(draft: Draft, root: Path) -> list[_Names]:
    files = sorted((root / "annotations").glob("*.xml"))
    found = [names for file in files if file.stem not in _POOR and (names := _read(root, file.name)).names]
    draft.leave_out("language: no names in it", len(files) - len(found))
    return found


def _read(root: Path, file: str) -> _Names:
    names: dict[str, str] = {}
    keywords: dict[str, list[str]] = {}
    for folder in ("annotations", "annotationsDerived"):
        path = root / folder / file
        for annotation in _annotations(path) if path.is_file() else ():
            emoji, said = annotation.get("cp", "").replace("\ufe0f", ""), clean(annotation.text or "")
            if not said or said == _INHERITED:
                continue
            if annotation.get("type") == "tts":
                names[emoji] = said
            else:
                keywords[emoji] = [word.strip() for word in said.split("|")]
    return _Names(bcp47(file.removesuffix(".xml")), names, keywords)


def _annotations(path: Path) -> list[ElementTree.Element]:
    data = path.read_bytes()[: _MOST_BYTES + 1]
    if len(data) > _MOST_BYTES or b"<!ENTITY" in data:
        raise InputError(f"{path} is no file of annotations: it is too big, or declares entities")
    try:
        return ElementTree.fromstring(data).findall("annotations/annotation")  # noqa: S314
    except ElementTree.ParseError as error:
        raise InputError(f"{path} is damaged: {error}: fetch {_NAMES.name} again") from error


SOURCE = Source(
    "emoji",
    "emoji in nine designs, with their names in more than a hundred languages",
    (PACKAGE, _NAMES),
    "Unicode-DFS-2016 (names); Apache-2.0, MIT, CC-BY-4.0, CC-BY-SA-4.0 (designs)",
    "205,000 pairs, 180 MB",
    pairs,
)
