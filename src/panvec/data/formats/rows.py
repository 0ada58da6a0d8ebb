"""Rows: what every format is read as, before columns become sides."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from panvec.data.pairs import PartKey
from panvec.errors import InputError

_MOST_LINE = 20_000_000
"""Bytes of a line of JSON."""


@dataclass(frozen=True)
class Row:
    """A row: where it is, for messages, its values by column, and the split that it or its file names ('' for none)."""

    where: str
    values: dict[str, Any]
    split: str = ""


@dataclass(frozen=True)
class Bad:
    """A row, or a stretch of a file, that cannot be read: where, and why."""

    where: str
    why: str


@dataclass(frozen=True)
class Deferred:
    """A value that is made only if its row is used."""

    make: Callable[[], PartKey]


@dataclass(frozen=True)
class Place:
    """The folder in which a column's paths are (resolved), and their modality where it is known."""

    folder: Path
    modality: str | None = None


Rows: TypeAlias = Iterator[Row | Bad]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A source as rows with columns; what it knows of its columns is used where the spec says nothing.

    Args:
        name: for messages.
        columns: those of every row (`whole`), or those of the first rows.
        rows: takes the columns that are needed.
        places: of columns that hold paths.
    """

    name: str
    folder: Path
    columns: tuple[str, ...]
    whole: bool
    rows: Callable[[frozenset[str]], Rows]
    places: Mapping[str, Place] = field(default_factory=dict)
    positives: tuple[str, ...] = ()
    item: str | None = None


def json_rows(path: Path, split: str = "") -> Rows:
    """The objects in a file of JSON lines."""
    with path.open("rb") as file:
        for number, line in enumerate(_lines(file), 1):
            where = f"{path}, line {number}"
            try:
                yield Row(where, json_object(line), split)
            except InputError as error:
                yield Bad(where, str(error))


def json_object(data: bytes) -> dict[str, Any]:
    """The object that `data` is.

    Raises:
        InputError: it is none, or too long.
    """
    if len(data) > _MOST_LINE:
        raise InputError(f"over the limit of {_MOST_LINE:,} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"no JSON ({error})") from error
    if not isinstance(value, dict):
        raise InputError(f"a JSON {type(value).__name__}, not an object")
    return value


def first_columns(name: str, rows: Rows, look: int) -> tuple[str, ...]:
    """The columns of the first `look` rows that can be read.

    Raises:
        InputError: there is none.
    """
    columns: dict[str, None] = {}
    bad: Bad | None = None
    for row in rows:
        if isinstance(row, Bad):
            bad = bad or row
            continue
        columns |= dict.fromkeys(row.values)
        look -= 1
        if not look:
            break
    if not columns:
        raise InputError(f"{name}: not one row can be read" + (f": {bad.where}: {bad.why}" if bad else ": it is empty"))
    return tuple(columns)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines; one over the limit is cut to a byte more than that."""
    while line := file.readline(_MOST_LINE + 1):
        rest = line
        while len(rest) > _MOST_LINE and not rest.endswith(b"\n"):
            rest = file.readline(_MOST_LINE + 1)
            if not rest:
                break
        yield line
