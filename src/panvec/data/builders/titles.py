"""Debian's packages: the short description of one, and its long one, in English and in the languages it is translated to.

apt's lists hold them as `*_Translation-xx`: `Package`, `Description-md5` of the English, and `Description-xx`, whose first
line is the short description; the others start with a space, and ` .` is an empty line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from panvec.data.builders.base import Draft, Source, bcp47, clean, some_of
from panvec.data.builders.packages import Package
from panvec.data.pairs import Pair, text

_LANGUAGES = (
    "en,bg,ca,cs,da,de,el,eo,es,eu,fi,fr,gl,hr,hu,id,it,ja,km,ko,lt,nb,nl,pl,pt,pt_BR,ro,ru,sk,sl,sr,sv,tr,uk,vi,zh_CN,zh_TW"
)
_PACKAGE = Package("lists", "debian-descriptions", _LANGUAGES)
_MOST_BYTES = 200_000_000
_MOST_PER_LANGUAGE = 3_000
_CHARACTERS = range(80, 100_000)
_MOST_CHARACTERS = 1_200
_LANGUAGE = re.compile(r"_Translation-([A-Za-z_]+)$")
_WRAPPED = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])")
"""A space that only the end of a line put between two characters of Chinese or Japanese."""
_FORM = re.compile(r"^(lib|python3?-|ruby-|golang-|node-|r-cran-)|(-dev|-doc|-dbg|-data|-common|-bin|-utils?|-tools?|[\d.]+)+$")


@dataclass(frozen=True)
class _Description:
    package: str
    md5: str
    short: str
    long: str


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """Short to long description; of a translated one also to the English."""
    files = _files(packages[_PACKAGE.name])
    known = {found.md5: found for file in files.get("en", []) for found in _descriptions(file, "en")}
    english = _unique(draft, list(known.values()))
    for found in draft.each(english.values(), lambda found: found.package):
        yield _pair(draft, found, (found.long,), "en")
    for language in sorted(set(files) - {"en"}):
        yield from _translated(draft, files[language], language, english)


def _translated(draft: Draft, files: list[Path], language: str, english: dict[str, _Description]) -> Iterator[Pair]:
    found = {one.md5: one for file in files for one in _descriptions(file, language) if one.md5 in english}
    whole = [one for one in found.values() if len(one.long) in _CHARACTERS and one.long != english[one.md5].long]
    most = min(_MOST_PER_LANGUAGE, draft.limit or _MOST_PER_LANGUAGE)
    draft.leave_out(f"description: more than {most} in a language", len(whole) - most)
    for one in some_of(whole, most, language, lambda one: one.package):
        yield _pair(draft, one, (one.long, english[one.md5].long), bcp47(language))


def _pair(draft: Draft, found: _Description, passages: tuple[str, ...], language: str) -> Pair:
    name = f"debian-{found.package}"
    split = draft.split(_FORM.sub("", found.package))
    return Pair(name, text(found.short), tuple(text(passage) for passage in passages), split=split, language=language)


def _files(root: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for file in sorted(root.glob("*_Translation-*")):
        language = _LANGUAGE.search(unquote(file.name))
        if language:
            found.setdefault(language[1], []).append(file)
    return found


def _descriptions(file: Path, language: str) -> Iterator[_Description]:
    with file.open("rb") as lines:
        source = lines.read(_MOST_BYTES).decode("utf-8", "replace")
    for record in source.split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): (.*(?:\n .*)*)", record, re.M))
        short, _, long = fields.get(f"Description-{language}", "").partition("\n")
        if short and long:
            yield _Description(fields.get("Package", ""), fields.get("Description-md5", ""), clean(short), _passage(long))


def _passage(long: str) -> str:
    """The paragraphs of a long description, as many as are not too long together."""
    whole = ""
    for paragraph in re.split(r"^ \.\s*$", long, flags=re.M):
        joined = f"{whole}\n\n{clean(paragraph)}" if whole else clean(paragraph)
        if len(joined) > _MOST_CHARACTERS:
            break
        whole = joined
    return _WRAPPED.sub("", whole)


def _unique(draft: Draft, found: list[_Description]) -> dict[str, _Description]:
    """The descriptions by the MD5 of the English, without those that share their short or their long text."""
    shorts, longs = Counter(one.short for one in found), Counter(one.long for one in found)
    kept = {}
    for one in found:
        if len(one.long) not in _CHARACTERS:
            draft.leave_out("description: short or empty, or its first paragraph too long")
        elif shorts[one.short] > 1 or longs[one.long] > 1:
            draft.leave_out("description: one that several packages share")
        else:
            kept[one.md5] = one
    return kept


SOURCE = Source(
    "titles",
    "Debian's packages: short to long description, in English and about 30 languages",
    (_PACKAGE,),
    "free, of each package",
    "97,000 pairs, 65 MB",
    pairs,
)
