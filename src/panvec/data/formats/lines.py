"""Tables in text files: JSON lines and CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from panvec.data.formats.columns import MODALITIES
from panvec.data.formats.files import shards, split_of, used
from panvec.data.formats.rows import Bad, Place, Row, Rows, Table, first_columns, json_rows
from panvec.data.formats.spec import SourceSpec
from panvec.errors import InputError

_LISTS = ("captions.jsonl", "labels.jsonl")
_FOLDERS = {"image": "images", "images": "images", "audio": "audio", "video": "videos", "document": "documents"}
_LOOK = 100


def jsonl(spec: SourceSpec, path: Path) -> Table:
    """JSON lines: `captions.jsonl`, `labels.jsonl`, or the file named; media in `images`, `audio`, `videos` beside it."""
    file = path if path.is_file() else next((path / name for name in _LISTS if (path / name).is_file()), None)
    if file is None:
        raise InputError(f"{path} has no {' or '.join(_LISTS)}: name the file")
    return Table(
        name=str(file),
        folder=file.parent,
        columns=first_columns(str(file), json_rows(file), _LOOK),
        whole=False,
        rows=lambda _: chain.from_iterable(json_rows(each, split_of(each.name)) for each in used([file], spec)),
        places=places(file.parent),
    )


def csv_files(spec: SourceSpec, path: Path) -> Table:
    """CSV files with a header; media in `images`, `audio`, `videos` beside them."""
    files = shards(path, ".csv")
    folder = path if path.is_dir() else path.parent
    return Table(
        name=str(path),
        folder=folder,
        columns=_header(files[0]),
        whole=True,
        rows=lambda _: chain.from_iterable(map(_csv_rows, used(files, spec))),
        places=places(folder),
    )


def places(folder: Path) -> dict[str, Place]:
    """Where the columns of media have their files: in a folder of theirs, or in `folder` itself."""
    folder = folder.resolve()
    inside = {column: folder / name for column, name in _FOLDERS.items()}
    return {column: Place(at.resolve() if at.is_dir() else folder, MODALITIES[column]) for column, at in inside.items()}


def _header(file: Path) -> tuple[str, ...]:
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        names = next(csv.reader(lines), None)
    if not names:
        raise InputError(f"{file} is empty: its first line names the columns")
    return tuple(names)


def _csv_rows(file: Path) -> Rows:
    split, header = split_of(file.name), _header(file)
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        reader = csv.reader(lines)
        next(reader)
        for record in _records(reader):
            where = f"{file}, line {reader.line_num}"
            if isinstance(record, csv.Error):
                yield Bad(where, str(record))
            elif record and len(record) != len(header):
                yield Bad(where, f"{len(record)} values, not {len(header)}")
            elif record:
                yield Row(where, dict(zip(header, record, strict=True)), split)


def _records(reader: Iterator[list[str]]) -> Iterator[list[str] | csv.Error]:
    """The records, or why one cannot be read."""
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield error
