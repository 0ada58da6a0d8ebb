"""A training pair, and its form on disk: a folder with `pairs.jsonl`, the media beside it, and a data card.

A row is `{"item": "a-7", "query": [{"image": "a/7.jpg"}], "positives": [["a caption"], ["another"]], "negatives": []}`.
A side is a list of parts in order, `{modality: path}` or a bare string, which is text; paths are relative to the file
and stay inside its folder. `item` names what the row was made from: splits and duplicates go by it. A row may name its
`"split"`; one without is training data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from panvec.content import Audio, Content, Document, Image, Part, Text, Video
from panvec.errors import InputError

PartKey: TypeAlias = tuple[str, str]
"""A modality, and the text or the path of the file. Hashable: equal keys are duplicates, and index caches."""
Side: TypeAlias = tuple[PartKey, ...]
"""One side of a pair: the parts of a content, in order."""

PARTS = {"text": Text, "image": Image, "audio": Audio, "video": Video, "document": Document}
FILE = "pairs.jsonl"


@dataclass(frozen=True)
class Pair:
    """A query, every right answer to it, and answers known to be wrong. Training draws one positive at a time."""

    item: str
    query: Side
    positives: tuple[Side, ...]
    negatives: tuple[Side, ...] = ()
    split: str = "train"


def text(string: str) -> Side:
    """A side of one text."""
    return (("text", string),)


def content(side: Side) -> Content:
    """A side as a content that an embedder takes."""
    parts: list[Part] = [PARTS[modality](value) for modality, value in side]
    return Content(*parts)


def read_pairs(folder: Path, split: str = "train") -> Iterator[Pair]:
    """The pairs of one split of a folder.

    Raises:
        InputError: there is no `pairs.jsonl`, or a row is not as above; the message names its line.
    """
    path = folder / FILE
    if not path.is_file():
        raise InputError(f"{folder} has no {FILE}: make one with panvec data build, or name a folder that has one")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                pair = _pair(row, folder.resolve())
            except (ValueError, TypeError, KeyError, AttributeError, InputError) as error:
                raise InputError(f"{path}, line {number}: {type(error).__name__} {error}: see panvec.data.pairs") from error
            if pair.split == split:
                yield pair


def write_pairs(folder: Path, pairs: Iterable[Pair]) -> int:
    """Write `pairs.jsonl` whole or not at all; media must be inside `folder` already. The number of pairs written."""
    folder.mkdir(parents=True, exist_ok=True)
    root, temporary, count = folder.resolve(), folder / f"{FILE}.new", 0
    with temporary.open("w", encoding="utf-8") as out:
        for pair in pairs:
            sides = [_row(side, root) for side in pair.positives], [_row(side, root) for side in pair.negatives]
            row = {"item": pair.item, "query": _row(pair.query, root), "positives": sides[0]}
            row |= {"negatives": sides[1]} if sides[1] else {}
            row |= {"split": pair.split} if pair.split != "train" else {}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    temporary.replace(folder / FILE)
    return count


def _pair(row: dict[str, Any], root: Path) -> Pair:
    positives = tuple(_side(side, root) for side in row["positives"])
    if not positives:
        raise InputError("no positives")
    negatives = tuple(_side(side, root) for side in row.get("negatives", ()))
    return Pair(str(row["item"]), _side(row["query"], root), positives, negatives, str(row.get("split", "train")))


def _side(parts: list[str | dict[str, str]], root: Path) -> Side:
    if isinstance(parts, str) or not parts:
        raise InputError("a side is a list of at least one part")
    return tuple(("text", part) if isinstance(part, str) else _file(part, root) for part in parts)


def _file(part: dict[str, str], root: Path) -> PartKey:
    ((modality, value),) = part.items()
    if modality == "text":
        return modality, value
    if modality not in PARTS:
        raise InputError(f"unknown modality {modality!r}: use {', '.join(PARTS)}")
    path = (root / value).resolve()
    if not path.is_relative_to(root):
        raise InputError(f"{value} is outside the folder")
    return modality, str(path)


def _row(side: Side, root: Path) -> list[str | dict[str, str]]:
    return [
        value if modality == "text" else {modality: str(Path(value).resolve().relative_to(root))} for modality, value in side
    ]
