"""English texts of yours, word by word in other languages: the words of a sentence without its grammar.

What a sentence is about is in its words, and on those a space of many languages must agree first (a sentence's words
switched by dictionaries: Qin et al., IJCAI 2020, arXiv 2006.06402). Of a word's translations the one is taken that the
embedded model finds nearest to it, the mean of its language apart; the earlier in the dictionary, the likelier.
`--from` names the texts, beside the packages.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from panvec.data.builders.base import Draft, Source, some_of
from panvec.data.builders.dictionaries import DICTIONARIES, Words
from panvec.data.builders.texts import TEXTS, lines_of
from panvec.data.pairs import Pair, text

if TYPE_CHECKING:
    from panvec.models.embedder import Embedder

_LANGUAGES = 2
"""So many, drawn by the text, of which each text is translated into."""
_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
_SILENT = {"a", "an", "the", "is", "are", "am", "be", "being", "been", "was", "were", "do", "does", "it", "its", "as", "that"}
"""Words of grammar, left out."""
_IRREGULAR = {"men": "man", "women": "woman", "children": "child", "feet": "foot", "teeth": "tooth", "ran": "run", "sat": "sit"}
_ENDINGS = (("ies", "y"), ("es", ""), ("s", ""), ("ing", ""), ("ing", "e"), ("ed", ""), ("ed", "e"))
_SHORTEST = 3
_UNSPACED = ("zh-Hans", "ja")
_LATER = 0.03
"""What a translation loses of its likeness with every one that the dictionary has before it."""
_OFTEN = 3
"""A word that texts have less often keeps its first translation."""


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """A text to its words in another language."""
    lines = {line.said: line for line in lines_of(draft, packages[TEXTS.name]) if line.language == "en"}
    dictionaries = {each.language: each.words(packages) for each in DICTIONARIES}
    used = Counter(piece for said in lines for piece in _pieces(said))
    words = {language: _translated(used, known) for language, known in dictionaries.items()}
    chosen = _chosen({word for word, count in used.items() if count >= _OFTEN}, words)
    for line in draft.each(lines.values(), lambda line: line.said):
        for language in some_of(dictionaries, _LANGUAGES, line.said):
            if said := _said(line.said, chosen[language], language):
                yield Pair(line.item, text(line.said), (text(said),), split=line.split, language=language)
            else:
                draft.leave_out("text: under half of its words are in a dictionary")


def _words(said: str) -> list[str]:
    return [word for word in _WORD.findall(said.lower()) if word not in _SILENT]


def _pieces(said: str) -> list[str]:
    """Its words, and every two of them that follow each other."""
    words = _words(said)
    return words + [f"{one} {two}" for one, two in itertools.pairwise(words)]


def _translated(words: Iterable[str], known: Words) -> dict[str, list[str]]:
    found = ((word, next((known[form] for form in _forms(word) if form in known), None)) for word in words)
    return {word: translations for word, translations in found if translations}


def _forms(word: str) -> Iterator[str]:
    """The word, or what it may be a form of: `running` is first of all a form of `run`."""
    stems = [_IRREGULAR[word]] if word in _IRREGULAR else []
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(stem := word.removesuffix(ending)) >= _SHORTEST:
            doubled = stem[-1] == stem[-2] and len(ending) > 1
            stems += [stem[:-1]] * doubled + [stem + instead]
    yield from [*stems, word] if word.endswith(("ing", "ed")) else [word, *stems]


def _chosen(often: set[str], words: dict[str, dict[str, list[str]]]) -> dict[str, dict[str, str]]:
    """Of every language and word the translation nearest to it, of those that occur often."""
    from panvec.models.embedder import Embedder

    embedder = Embedder()
    english = sorted(often)
    vectors = dict(zip(english, _around_mean(embedder, english), strict=True))
    return {language: _nearest(embedder, vectors, own) for language, own in words.items()}


def _nearest(embedder: Embedder, vectors: Mapping[str, NDArray[np.float32]], own: dict[str, list[str]]) -> dict[str, str]:
    open_ = {word: translations for word, translations in own.items() if word in vectors and len(translations) > 1}
    every = sorted({translation for translations in open_.values() for translation in translations})
    row = {translation: i for i, translation in enumerate(every)}
    table = _around_mean(embedder, every)
    nearest = {}
    for word, known in open_.items():
        likeness = table[[row[translation] for translation in known]] @ vectors[word]
        nearest[word] = known[int(np.argmax(likeness - _LATER * np.arange(len(known))))]
    return {word: translations[0] for word, translations in own.items()} | nearest


def _around_mean(embedder: Embedder, texts: Sequence[str]) -> NDArray[np.float32]:
    vectors = embedder.embed(texts) if texts else np.zeros((0, 1), np.float32)
    centred = vectors - vectors.mean(0) if len(vectors) else vectors
    unit: NDArray[np.float32] = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    return unit


def _said(said: str, chosen: Mapping[str, str], language: str) -> str:
    """The words of a text in a language, those that no dictionary has as they are; nothing if these are most of them."""
    words, out, known = _words(said), [], 0
    while words:
        count = 2 if " ".join(words[:2]) in chosen and len(words) > 1 else 1
        piece = " ".join(words[:count])
        words, known = words[count:], known + (piece in chosen) * count
        out.append(chosen.get(piece, piece))
    enough = known > len(_words(said)) / 2
    return ("" if language in _UNSPACED else " ").join(out) if enough else ""


SOURCE = Source(
    "wordwise",
    "English texts of yours word by word in 13 languages: --from a text file, or a folder of pairs or captions",
    (TEXTS, *(dictionary.package for dictionary in DICTIONARIES)),
    "that of the texts; dictionaries: GPL-2+ (FreeDict, Mueller), CC-BY-SA (JMdict, CC-CEDICT)",
    "two pairs a text",
    pairs,
)
