"""What every builder has in common: a source, the draft of a folder that it fills, and the data card.

A builder is a function from a draft and the folders of its packages to pairs. The draft knows where media go, which
split an item is in, what was left out and why.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from panvec.data.builders.packages import Package, version_of
from panvec.data.cards import Card, make_card, write_card
from panvec.data.cards import Package as CardPackage
from panvec.data.pairs import Pair, Side, write_pairs
from panvec.data.readers import share_of
from panvec.errors import InputError

Progress: TypeAlias = Callable[[int, int, str], None]
Item = TypeVar("Item")

_ARTICLES = re.compile(r"^(?:an?|the|some)\s+")
_NO_WORD = re.compile(r"[^\w\s]|_")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Source:
    """Something that pairs are made of: where it comes from, on what terms, and the function that makes them."""

    name: str
    what: str
    packages: tuple[Package, ...]
    licence: str
    size: str
    """Pairs and bytes that it becomes, for people."""
    pairs: Callable[[Draft, Mapping[str, Path]], Iterator[Pair]]
    """Takes the draft and the folder of each package, by the package's name."""


@dataclass
class Draft:
    """A folder of pairs that is being made."""

    folder: Path
    limit: int | None = None
    """The most items."""
    dev: float = 0.05
    """The share of the concepts that is held back."""
    progress: Progress = lambda *_: None
    left_out: Counter[str] = field(default_factory=Counter)
    """How many of the source's things became no pair, by reason."""
    licences: Counter[str] = field(default_factory=Counter)
    """Items by licence, where the source has several."""

    def each(self, items: Iterable[Item], name: Callable[[Item], str]) -> Iterator[Item]:
        """The items, as many as the limit allows, in an order that is fixed but shuffled: the first few are a fair sample."""
        chosen = sorted(items, key=lambda item: (digest(name(item)), name(item)))[: self.limit]
        for done, item in enumerate(chosen):
            self.progress(done, len(chosen), name(item))
            yield item

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Count something that became no pair."""
        if count > 0:
            self.left_out[reason] += count

    def split(self, concept: str) -> str:
        """The split of a concept: the same in every source, for every spelling that `concept_of` makes one."""
        return "dev" if share_of(concept_of(concept)) < self.dev else "train"

    def path(self, name: str, suffix: str) -> Path:
        """Where a medium goes: a short path of ASCII that different names never share."""
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:48]
        mark = f"{digest(name):016x}"
        path = self.folder / "media" / mark[:2] / f"{plain}-{mark[2:]}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def medium(modality: str, path: Path) -> Side:
    """A side of one file."""
    return ((modality, str(path)),)


def digest(name: str) -> int:
    """A number under 2**64 that stays the same for a name, everywhere and always."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def some_of(items: Iterable[Item], count: int, name: str, key: Callable[[Item], str] = str) -> list[Item]:
    """`count` of the items (all, where there are fewer), drawn by the hash of `name`."""
    return sorted(items, key=lambda item: digest(f"{name}\0{key(item)}"))[:count]


def clean(text: str) -> str:
    """A text as training wants it: composed characters, single spaces, none at the ends."""
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip()


def concept_of(caption: str) -> str:
    """What an English caption is about, so that "A koala." and "koala" are one: no case, article, punctuation, plural s."""
    plain = _SPACE.sub(" ", _NO_WORD.sub(" ", unicodedata.normalize("NFKC", caption).casefold())).strip()
    words = _ARTICLES.sub("", plain).split()
    singular = [word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in words]
    return " ".join(singular) or caption


def bcp47(locale: str) -> str:
    """The language tag of a locale: `ca@valencia` is ca-valencia, `zh_CN` zh-Hans, `sr@latin` sr-Latn."""
    scripts = {"latin": "Latn", "cyrillic": "Cyrl", "Cyrl": "Cyrl", "ijekavianlatin": "Latn-ijekavsk", "ijekavian": "ijekavsk"}
    base, _, variant = locale.partition("@")
    tag = "-".join(part for part in (base.replace("_", "-"), scripts.get(variant, variant)) if part)
    chinese = {"zh": "zh-Hans", "zh-CN": "zh-Hans", "zh-TW": "zh-Hant", "zh-tw": "zh-Hant", "no": "nb"}
    return chinese.get(tag, tag)


def build(source: Source, folder: Path, packages: Mapping[str, Path], **options: Any) -> Card:
    """Make the folder of a source, whole or not at all; `options` are those of the draft. Its card.

    Raises:
        InputError: there is something in `folder` already, or the packages hold nothing that becomes a pair.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists already: remove it, or name another folder")
    draft = Draft(folder.with_name(f"{folder.name}.new"), **options)
    shutil.rmtree(draft.folder, ignore_errors=True)
    number = write_pairs(draft.folder, source.pairs(draft, packages))
    if not number:
        shutil.rmtree(draft.folder)
        reasons = "; ".join(f"{reason}: {count}" for reason, count in draft.left_out.most_common()) or "nothing to read"
        raise InputError(f"no pair of {source.name} can be made from {', '.join(map(str, packages.values()))} ({reasons})")
    card = _card(source, packages, draft)
    write_card(draft.folder, card)
    if folder.exists():
        folder.rmdir()
    draft.folder.rename(folder)
    return card


def _card(source: Source, packages: Mapping[str, Path], draft: Draft) -> Card:
    named = [(package, version_of(package, packages[package.name])) for package in source.packages]
    options = f"--dev {draft.dev:g}" + (f" --limit {draft.limit}" if draft.limit else "")
    card = make_card(
        draft.folder,
        name=source.name,
        what=source.what,
        packages=tuple(CardPackage(each.registry, each.name, version, source.licence) for each, version in named),
        licences=dict(draft.licences),
        how_split=f"{draft.dev:.0%} of the concepts, by a hash of the concept's name, are dev: the same in every source",
        left_out=dict(draft.left_out),
        command=f"panvec data build {source.name} --out DIR {options}",
    )
    return card if card.licences else replace(card, licences={source.licence: card.items})
