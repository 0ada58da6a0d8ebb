"""WordNet: what a word means, and the words that mean it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from panvec.data.builders.base import Draft, Source, clean
from panvec.data.builders.packages import Package
from panvec.data.pairs import Pair, text

_PACKAGE = Package("deb", "wordnet-base", "usr/share/wordnet")
_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
_MOST_BYTES = 50_000_000
_FEWEST_WORDS = 3
_MARKER = re.compile(r"\((?:a|p|ip)\)$")


@dataclass(frozen=True)
class _Meaning:
    name: str
    words: list[str]
    gloss: str


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """Gloss to each of the words."""
    meanings = [meaning for name in _FILES for meaning in _meanings(draft, packages[_PACKAGE.name] / name)]
    for meaning in draft.each(meanings, lambda meaning: meaning.name):
        sides = tuple(text(word) for word in meaning.words)
        yield Pair(meaning.name, text(meaning.gloss), sides, split=draft.split(meaning.words[0]), language="en")


def _meanings(draft: Draft, path: Path) -> Iterator[_Meaning]:
    if not path.is_file():
        draft.leave_out("file: not in the package")
        return
    seen: set[str] = set()
    source = path.read_bytes()[:_MOST_BYTES].decode("utf-8", "replace")
    for line in source.splitlines():
        fields, bar, rest = line.partition("|")
        gloss = _gloss(rest)
        if not bar or line.startswith(" "):
            continue
        if len(gloss.split()) < _FEWEST_WORDS:
            draft.leave_out("meaning: a gloss of one or two words")
        elif gloss in seen:
            draft.leave_out("meaning: a gloss that another has, too")
        else:
            seen.add(gloss)
            yield _Meaning(f"wordnet-{path.suffix[1:]}-{fields.split()[0]}", _words(fields), gloss)


def _words(fields: str) -> list[str]:
    """The words of a line: after offset, file and kind come their number, in base 16, and each of them with a sense."""
    parts = fields.split()
    count = int(parts[3], 16)
    words = (_MARKER.sub("", word).replace("_", " ") for word in parts[4 : 4 + 2 * count : 2])
    return list(dict.fromkeys(words))


def _gloss(rest: str) -> str:
    """The definition, without the sentences that show its use."""
    return clean(re.split(r';\s*"', rest)[0])


SOURCE = Source(
    "glosses",
    "WordNet: a definition, and the words it defines",
    (_PACKAGE,),
    "WordNet-3.0 (permissive)",
    "113,000 pairs, 19 MB",
    pairs,
)
