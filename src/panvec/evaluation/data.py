"""Data folders: which rows of them are used. docs/evaluation.md has the format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias

import numpy as np

from panvec.data.formats.columns import short
from panvec.data.readers import share_of
from panvec.errors import InputError, MediaError
from panvec.evaluation.rows import FOLDERS, Reader, Record, Row, class_name

ROW_FILES = ("captions.jsonl", "labels.jsonl", "meta.jsonl")
HELD_BACK = ("dev", "val", "validation")
"""The splits that are used when none is named: the first of these that there is."""
TEST = "test"
_VALUES_NAMED = 10

Records: TypeAlias = list[tuple[str, Record]]
"""The rows of a file, each with its place for messages."""


@dataclass(frozen=True)
class Selection:
    """Which rows of a file are used.

    Args:
        split: the rows of this split; None is the held-back one, or all rows of a file without splits.
        where: values that fields must have, as `str` prints them, such as `{"fold": "3"}`.
        limit: at most so many rows of a file, drawn at random.
        seed: of the drawing.
        dev_share: the share of the training rows, or of all where there are no splits, that is the split dev instead, by the
            hash of the file's name (of a text without a file, the text) that `panvec.data.readers` leaves out of training at
            the same share.
        by: a field, such as a language: the rows of each of its values are also data of their own.

    Raises:
        InputError: `where` names the split, `limit` is under 1, or `dev_share` is no share.
    """

    split: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    seed: int = 0
    dev_share: float = 0.0
    by: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.dev_share < 1:
            raise InputError(f"dev_share is {self.dev_share}: give a share from 0 to below 1")
        if "split" in self.where:
            raise InputError("a split is named with split (--split), not among the other fields (--where)")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"a limit of {self.limit} rows leaves nothing to evaluate: use 1 or more")


@dataclass(frozen=True)
class DataSet:
    """The chosen rows of a file in a data folder.

    Attributes:
        chosen: how many rows of the file those are, those without words too.
        class_names: of all rows of the file, not only of those chosen.
        part: the value of a field that these rows share, such as a language; "" for all chosen rows.
    """

    name: str
    file: Path
    sha256: str
    split: str | None
    chosen: int
    rows: list[Row]
    class_names: list[str]
    part: str = ""


class _NothingChosenError(InputError):
    """No row of a file is in the selection."""


def read_data(folder: Path, selection: Selection) -> tuple[list[DataSet], list[str]]:
    """The data sets of a data folder, or of each one in a folder of them, and notes on what was left out.

    Raises:
        MediaError: there is no such folder, no rows in it, or a row that cannot be understood.
        InputError: no row is chosen.
    """
    if not folder.is_dir():
        raise MediaError(f"{folder} is no folder: name a data folder, or a folder of data folders")
    files, notes = _row_files(folder.resolve())
    if not files:
        raise MediaError(f"neither {folder} nor a folder in it holds {' or '.join(ROW_FILES)}: see docs/evaluation.md")
    sets = []
    for file in files:
        try:
            sets += _read(file, selection, notes)
        except _NothingChosenError as error:
            notes.append(str(error))
    if not sets:
        raise InputError(f"nothing to evaluate in {folder}: {'; '.join(notes)}")
    return sets, notes


def _row_files(folder: Path) -> tuple[list[Path], list[str]]:
    own = _row_files_in(folder)
    if own:
        return own, []
    inner = {sub: _row_files_in(sub) for sub in sorted(folder.iterdir()) if sub.is_dir() and not sub.name.startswith(".")}
    notes = [f"{sub.name}: left out, it holds no {' or '.join(ROW_FILES)}" for sub, files in inner.items() if not files]
    return [file for files in inner.values() for file in files], notes


def _row_files_in(folder: Path) -> list[Path]:
    return [folder / name for name in ROW_FILES if (folder / name).is_file()]


def _read(file: Path, selection: Selection, notes: list[str]) -> list[DataSet]:
    name = f"{file.parent.name}/{file.name}"
    content = file.read_bytes()
    records = _held_back(_without_test(_records(file, content), name, selection.split), selection.dev_share)
    split = _split(records, name, selection.split)
    chosen = _limited(_matching(_of_split(records, split), name, selection.where), selection)
    class_names = sorted({known for place, record in records if (known := class_name(record, place)) is not None})
    digest = hashlib.sha256(content).hexdigest()
    title = file.parent.name if len(_row_files_in(file.parent)) == 1 else f"{file.parent.name}/{file.stem}"
    reader = Reader(file.parent)
    sets = []
    for value, part in _grouped(chosen, selection.by).items():
        rows = [reader.read(record, place) for place, record in part]
        silent = sum(not said for said in rows)
        if silent:
            notes.append(f"{name}: {silent} of {len(part)} rows have no words, and are left out")
        named = f"{title}, {value}" if value else title
        sets.append(DataSet(named, file, digest, split, len(part), [row for said in rows for row in said], class_names, value))
    return sets


def _grouped(records: Records, by: str | None) -> dict[str, Records]:
    """All rows under "", and those of each value of the field by its name."""
    groups: dict[str, Records] = {"": records}
    for place, record in records if by else ():
        if by in record:
            groups.setdefault(f"{by} {record[by]}", []).append((place, record))
    return dict(sorted(groups.items()))


def _records(file: Path, content: bytes) -> Records:
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise MediaError(f"{file}: is no text in UTF-8: convert it first") from None
    places = [f"{file}:{number}" for number in range(1, len(lines) + 1)]
    return [(place, _record(line, place)) for place, line in zip(places, lines, strict=True) if line.strip()]


def _record(line: str, place: str) -> Record:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise MediaError(f"{place}: is no JSON ({error}): give one row in each line") from None
    if not isinstance(record, dict):
        raise MediaError(f"{place}: is a {type(record).__name__}: a row is an object, with the names of fields")
    return record


def _without_test(records: Records, name: str, split: str | None) -> Records:
    if _is_test(split):
        return records
    kept = [(place, record) for place, record in records if not _is_test(record.get("split"))]
    if records and not kept:
        raise _NothingChosenError(f"{name}: left out, it has only a {TEST} split, read when it is named: --split {TEST}")
    return kept


def _is_test(split: object) -> bool:
    return isinstance(split, str) and split.strip().casefold() == TEST


def _held_back(records: Records, dev_share: float) -> Records:
    if not dev_share:
        return records
    return [(place, record | {"split": _shared(record, dev_share)}) for place, record in records]


def _shared(record: Record, dev_share: float) -> object:
    split = record.get("split", "train")
    paths = (Path(str(record[kind])) for kind in FOLDERS if isinstance(record.get(kind), str))
    media = ((path.parent / path.stem).as_posix() for path in paths)
    named = [str(record["id"])] if "images" in record and "id" in record else []
    words = [short(record["text"])] if isinstance(record.get("text"), str) else []
    own = split == "train" and any(share_of(item) < dev_share for item in islice(chain(named, media, words), 1))
    return "dev" if own else split


def _split(records: Records, name: str, split: str | None) -> str | None:
    known = sorted({str(record["split"]) for _, record in records if "split" in record})
    if split is not None and split not in known:
        has = f"it has {', '.join(known)}" if known else "its rows have none, use it without --split"
        raise _NothingChosenError(f"{name}: left out, it has no split {split!r}: {has}")
    if split is not None or not known:
        return split
    held_back = [name for name in HELD_BACK if name in known]
    if not held_back:
        raise _NothingChosenError(f"{name}: left out, no split is held back: name one with --split: {', '.join(known)}")
    return held_back[0]


def _of_split(records: Records, split: str | None) -> Records:
    return [(place, record) for place, record in records if split is None or str(record.get("split")) == split]


def _matching(records: Records, name: str, where: Mapping[str, str]) -> Records:
    for key, value in where.items():
        known = sorted({str(record[key]) for _, record in records if key in record})
        records = [(place, record) for place, record in records if str(record.get(key)) == value]
        if not records:
            more = ", ..." if len(known) > _VALUES_NAMED else ""
            has = f"{key} is {', '.join(known[:_VALUES_NAMED])}{more}" if known else f"no row has {key}"
            raise _NothingChosenError(f"{name}: left out, no row has {key}={value}: {has}")
    if not records:
        raise _NothingChosenError(f"{name}: left out, it has no rows")
    return records


def _limited(records: Records, selection: Selection) -> Records:
    if selection.limit is None or selection.limit >= len(records):
        return records
    drawn = np.random.default_rng(selection.seed).choice(len(records), selection.limit, replace=False)
    return [records[i] for i in sorted(drawn)]
