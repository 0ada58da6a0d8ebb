"""A training pair, and its form on disk: a folder with `pairs.jsonl`, the media beside it, and a data card.

A row is `{"item": "a-7", "query": [{"image": "a/7.jpg"}], "positives": [["a caption"], ["another"]], "negatives": []}`.
A side is a list of parts in order, `{modality: path}` or a bare string, which is text; paths are relative to the file
and stay inside its folder. `item` names what the row was made from: splits and duplicates go by it. A row may name its
`"split"`; one without is training data. It may name its `"language"`, a BCP 47 tag, so that languages can be drawn evenly.
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
CAPTIONS = "captions.jsonl"
"""Pictures with captions, as data sets have them; `panvec.data.readers` reads such a folder too."""


@dataclass(frozen=True)
class Pair:
    """A query, every right answer to it, and answers known to be wrong. Training draws one positive at a time."""

    item: str
    query: Side
    positives: tuple[Side, ...]
    negatives: tuple[Side, ...] = ()
    split: str = "train"
    language: str = ""


def text(string: str) -> Side:
    """A side of one text."""
    return (("text", string),)


def content(side: Side) -> Content:
    """A side as a content that an embedder takes."""
    parts: list[Part] = [PARTS[modality](value) for modality, value in side]
    return Content(*parts)


def read_pairs(folder: Path, split: str | None = "train") -> Iterator[Pair]:
    """The pairs of one split of a folder, or of all.

    Raises:
        InputError: there is no `pairs.jsonl`, or a row is not as above; the message names its line.
    """
    path = folder / FILE
    if not path.is_file():
        raise InputError(f"{folder} has no {FILE}: make one with panvec data build, or name a folder that has one")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                pair = pair_of(json.loads(line), folder.resolve())
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}, line {number}: {error}: see panvec.data.pairs") from error
            if split in (None, pair.split):
                yield pair


def write_pairs(folder: Path, pairs: Iterable[Pair]) -> int:
    """Write `pairs.jsonl` whole or not at all; media must be inside `folder` already. The number of pairs written.

    Raises:
        InputError: a file outside `folder`, or a text that no file can hold (half of a surrogate pair).
    """
    folder.mkdir(parents=True, exist_ok=True)
    root, temporary, count = folder.resolve(), folder / f"{FILE}.new", 0
    try:
        with temporary.open("w", encoding="utf-8") as out:
            for pair in pairs:
                out.write(_line(pair, root))
                count += 1
        temporary.replace(folder / FILE)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def pair_of(row: Any, root: Path) -> Pair:
    """The pair that a row of `pairs.jsonl` holds; `root` is its folder, resolved.

    Raises:
        InputError: the row is not as this module says, or names a file outside `root`.
    """
    try:
        positives = tuple(_side(side, root) for side in row["positives"])
        negatives = tuple(_side(side, root) for side in row.get("negatives", ()))
        named = str(row.get("split", "train")), str(row.get("language", ""))
        pair = Pair(str(row["item"]), _side(row["query"], root), positives, negatives, *named)
    except KeyError as error:
        raise InputError(f"the row has no {error}") from error
    except (TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise InputError(str(error)) from error
    if not positives:
        raise InputError("the row has no positives")
    return pair


def _line(pair: Pair, root: Path) -> str:
    positives, negatives = ([_row(side, root) for side in sides] for sides in (pair.positives, pair.negatives))
    row: dict[str, Any] = {"item": pair.item, "query": _row(pair.query, root), "positives": positives}
    row |= {"negatives": negatives} if negatives else {}
    row |= {"split": pair.split} if pair.split != "train" else {}
    row |= {"language": pair.language} if pair.language else {}
    line = json.dumps(row, ensure_ascii=False) + "\n"
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"item {pair.item!r}: half a surrogate pair in a text: leave it out") from error
    return line


def _side(parts: Any, root: Path) -> Side:
    if not isinstance(parts, list) or not parts:
        raise InputError("a side is a list of at least one part")
    return tuple(("text", part) if isinstance(part, str) else _file(part, root) for part in parts)


def _file(part: dict[str, str], root: Path) -> PartKey:
    ((modality, value),) = part.items()
    if not isinstance(value, str):
        raise InputError(f"{modality} is {value!r}: give a string")
    if modality == "text":
        return modality, value
    if modality not in PARTS:
        raise InputError(f"unknown modality {modality!r}: use {', '.join(PARTS)}")
    path = (root / value).resolve()
    if not path.is_relative_to(root):
        raise InputError(f"{value} is outside the folder")
    return modality, str(path)


def _row(side: Side, root: Path) -> list[str | dict[str, str]]:
    return [value if modality == "text" else {modality: _inside(value, root)} for modality, value in side]


def _inside(value: str, root: Path) -> str:
    path = Path(value).resolve()
    if not path.is_relative_to(root):
        raise InputError(f"{value} is outside {root}: copy it into the folder first")
    return path.relative_to(root).as_posix()
