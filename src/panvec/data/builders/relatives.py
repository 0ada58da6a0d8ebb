"""Nouns that name none of the vision tower's classes, and the classes nearest to what they mean in WordNet's tree.

A noun above classes ("automobile", "airplane") has all of those below it. An animal for which the tower has no class
("deer") has those below its nearest hypernym with any ("ruminant": the gazelle, the ox): what the tower takes it for.
Only nouns that everyday texts have: a class is drawn to the mean of its words, and rare ones would outnumber them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from panvec.data.builders.base import Draft, Source
from panvec.data.builders.classes import PACKAGE as CLASSES
from panvec.data.builders.classes import read_classes
from panvec.data.builders.packages import Package
from panvec.data.pairs import Pair, text
from panvec.errors import InputError

_PACKAGE = Package("deb", "wordnet-base", "usr/share/wordnet")
_MOST_BYTES = 50_000_000
_ANIMAL = "05"
_SEEN = {_ANIMAL, "06", "13", "20"}
"""The files of WordNet's lexicographers for what pictures show: animals, artifacts, food and plants."""
_FARTHEST = 2
"""Steps from an animal up to the hypernym that it shares with classes."""
_MOST_RELATIVES = 12
_MOST_KINDS = 60
"""Classes below a noun; one with more is too general."""


@dataclass(frozen=True)
class _Noun:
    offset: str
    file: str
    words: list[str]
    hypernyms: list[str]


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """The names of a class, in a row, to the words of a noun that it is a kind or a relative of."""
    nouns, first = _nouns(packages[_PACKAGE.name] / "data.noun"), _first_meanings(packages[_PACKAGE.name] / "index.noun")
    classes = read_classes(packages[CLASSES.name])
    meanings = _meanings(classes, nouns)
    draft.leave_out("class: its names have several meanings", len(classes) - len(meanings))
    below: dict[str, list[int]] = defaultdict(list)
    for number, offset in meanings.items():
        for hypernym in _above(nouns, offset):
            below[hypernym].append(number)
    named = {name.lower() for names in classes for name in names}
    for noun in draft.each((noun for noun in nouns.values() if noun.file in _SEEN), lambda noun: noun.offset):
        words = [word for word in noun.words if word.lower() in first and first[word.lower()].offset == noun.offset]
        words = [word for word in words if word.lower() not in named]
        found = _nearest(nouns, noun, below)
        if not words:
            draft.leave_out("noun: a class has its name, or its words mean something else first")
        elif not any(first[word.lower()].tagged for word in words):
            draft.leave_out("noun: in none of WordNet's tagged texts")
        elif not found:
            draft.leave_out("noun: no class is near, or too many are below it")
        else:
            for number in found:
                item, names = f"wordnet-noun-{noun.offset}", ", ".join(classes[number])
                yield Pair(item, text(names), tuple(map(text, words)), split=draft.split(words[0]), language="en")


@dataclass(frozen=True)
class _Meaning:
    offset: str
    tagged: int
    """How many meanings of the word occur in the texts whose words WordNet's makers tagged: of a rare word none."""


def _nouns(path: Path) -> dict[str, _Noun]:
    """By offset. A line has offset, file, kind, the number of words (base 16), each with a sense, then pointers in fours."""
    found = {}
    for fields in _lines(path):
        count = int(fields[3], 16)
        words, pointers = fields[4 : 4 + 2 * count : 2], fields[5 + 2 * count :]
        above = [offset for kind, offset in zip(pointers[::4], pointers[1::4], strict=False) if kind == "@"]
        found[fields[0]] = _Noun(fields[0], fields[1], [word.replace("_", " ") for word in words], above)
    return found


def _first_meanings(path: Path) -> dict[str, _Meaning]:
    """Of each word the most frequent meaning. A line has word, kind, two counts and kinds of pointers, two counts, offsets."""
    found = {}
    for fields in _lines(path):
        place = 4 + int(fields[3])
        found[fields[0].replace("_", " ")] = _Meaning(fields[place + 2], int(fields[place + 1]))
    return found


def _lines(path: Path) -> Iterator[list[str]]:
    if not path.is_file():
        raise InputError(f"{path} is missing: it is in the Debian package wordnet-base; name its folder with --from")
    for line in path.read_bytes()[:_MOST_BYTES].decode("utf-8", "replace").splitlines():
        if not line.startswith(" "):
            yield line.partition("|")[0].split()


def _meanings(classes: list[list[str]], nouns: Mapping[str, _Noun]) -> dict[int, str]:
    """The offset of each class with a meaning of its own: that of its names; of several, the one in the order of classes."""
    named: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for noun in nouns.values():
        named[tuple(noun.words)].append(noun.offset)
    offsets = [named[tuple(names)] if classes.count(names) == 1 else [] for names in classes]
    sure = {number: own[0] for number, own in enumerate(offsets) if len(own) == 1}
    found = dict(sure)
    for number, own in enumerate(offsets):
        least = max((offset for other, offset in sure.items() if other < number), default="")
        most = min((offset for other, offset in sure.items() if other > number), default="~")
        between = [offset for offset in own if least < offset < most]
        if len(between) == 1:
            found[number] = between[0]
    return found


def _above(nouns: Mapping[str, _Noun], offset: str) -> dict[str, int]:
    """A noun and all of its hypernyms, with the steps up to each."""
    steps = {offset: 0}
    for place in (order := [offset]):
        for hypernym in nouns[place].hypernyms:
            if hypernym not in steps:
                steps[hypernym] = steps[place] + 1
                order.append(hypernym)
    return steps


def _nearest(nouns: Mapping[str, _Noun], noun: _Noun, below: Mapping[str, list[int]]) -> list[int]:
    """The classes below a noun, or else below the nearest hypernym of an animal; none where those are too many or too far."""
    if noun.offset in below:
        return below[noun.offset] if len(below[noun.offset]) <= _MOST_KINDS else []
    near = [
        (steps, len(below[hypernym]), hypernym)
        for hypernym, steps in _above(nouns, noun.offset).items()
        if hypernym in below and noun.file == nouns[hypernym].file == _ANIMAL
    ]
    steps, count, hypernym = min(near, default=(_FARTHEST + 1, 0, ""))
    return below[hypernym] if steps <= _FARTHEST and count <= _MOST_RELATIVES else []


SOURCE = Source(
    "relatives",
    "WordNet: nouns that name no class of the vision tower, and the classes nearest to them",
    (_PACKAGE, CLASSES),
    "WordNet-3.0 (permissive)",
    "1,400 pairs, .2 MB",
    pairs,
)
