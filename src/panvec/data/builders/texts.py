"""Texts of a person's own that a builder makes something of: a text file, or the texts of a folder of pairs or captions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from panvec.data.builders.base import Draft, clean, digest
from panvec.data.builders.packages import Package
from panvec.data.pairs import CAPTIONS, FILE, read_pairs
from panvec.errors import InputError

TEXTS = Package("own", "texts", "")
_MOST_LINES = 1_000_000


@dataclass(frozen=True)
class Line:
    """A text, and what is known of it."""

    item: str
    said: str
    language: str
    split: str


def lines_of(draft: Draft, source: Path) -> Iterator[Line]:
    """The texts in a file: every line of a text file; of `pairs.jsonl` one of each row; of `captions.jsonl` each caption."""
    reader = {FILE: _of_pairs, CAPTIONS: _of_captions}.get(source.name, _of_file)
    yield from reader(draft, source)


def _of_pairs(_: Draft, source: Path) -> Iterator[Line]:
    for split in ("train", "dev"):
        for pair in read_pairs(source.parent, split):
            texts = [side[0][1] for side in (pair.query, *pair.positives) if side[0][0] == "text" and len(side) == 1]
            if texts:
                yield Line(pair.item, clean(texts[0]), pair.language, split)


def _of_captions(_: Draft, source: Path) -> Iterator[Line]:
    with source.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                name, split, captions = str(row["image"]), str(row.get("split", "train")), [str(c) for c in row["captions"]]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise InputError(f"{source}, line {number}: no image with captions ({error!r})") from error
            yield from (Line(name, clean(caption), "en", split) for caption in captions if split in ("train", "dev"))


def _of_file(draft: Draft, source: Path) -> Iterator[Line]:
    with source.open(encoding="utf-8", errors="replace") as file:
        for _, line in zip(range(_MOST_LINES), file, strict=False):
            said = clean(line)
            yield Line(f"line-{digest(said):016x}", said, "en", draft.split(said))
