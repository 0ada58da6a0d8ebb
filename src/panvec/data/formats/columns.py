"""From a row's columns to a pair: which columns are the query, which the answers, and what a value becomes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panvec.content import Limits
from panvec.data.formats.files import inside
from panvec.data.formats.rows import Deferred, Place, Row, Rows, Table
from panvec.data.formats.spec import SourceSpec
from panvec.data.formats.store import MediaStore
from panvec.data.pairs import Pair, PartKey, Side
from panvec.errors import InputError
from panvec.media.kinds import detect

MODALITIES = {"image": "image", "images": "image", "audio": "audio", "video": "video", "document": "document"}
"""Columns whose strings are paths where a format says so, and whose media must be of that modality."""
KEY = "__key__"
"""The column that names a sample of a tar."""

_QUERIES = ("query", "anchor", "question", *("audio", "video", "image", "images", "document"), "text", "sentence")
_POSITIVES = ("positives", "positive", "captions", "caption", "answers", "answer", "text", "label", "category")
_NEGATIVE = re.compile(r"negatives?(_\d+)?")
_LABELS = ("label", "category")
_ITEMS = ("item", KEY, "freesound_id")
_LONGEST_ITEM = 100


@dataclass(frozen=True)
class Facts:
    """What decides whether a row is used, known before any medium of it is written."""

    item: str
    split: str
    label: str | None = None


@dataclass(frozen=True)
class _Columns:
    query: tuple[str, ...]
    positives: tuple[str | tuple[str, ...], ...]
    negatives: tuple[str | tuple[str, ...], ...]
    label: str | None
    item: str | None


class ColumnPairs:
    """Makes the pairs of a table.

    Raises:
        InputError: the columns of the spec are not there, or none are named and none have a usual name.
    """

    def __init__(self, spec: SourceSpec, table: Table) -> None:
        self.spec, self.table = spec, table
        self.columns = _columns(spec, table)
        self._store = MediaStore(spec.cache_folder(), spec.medium_bytes)
        self._places = dict(table.places) | {
            column: Place((table.folder / folder).resolve(), MODALITIES.get(column)) for column, folder in spec.media.items()
        }
        self._check()

    def rows(self) -> Rows:
        """The rows of the table."""
        return self.table.rows(self.needed)

    @property
    def needed(self) -> frozenset[str]:
        """The columns that are read."""
        columns = self.columns
        named = {*_flat((columns.query, *columns.positives, *columns.negatives)), *self.spec.only, "split", "language"}
        return frozenset(named | {column for column in (columns.label, columns.item) if column})

    def facts(self, row: Row) -> Facts:
        """The row's item, split ('' if it names none) and label.

        Raises:
            InputError: it has no query, or no label where labels are held out.
        """
        label = row.values.get(self.columns.label) if self.columns.label else None
        if self.spec.held_out_labels and not isinstance(label, str):
            raise InputError(f"its label is {label!r}, and labels are held out: leave the row out, or name it")
        split = row.values.get("split")
        return Facts(self._item(row), row.split if split is None else str(split), label if isinstance(label, str) else None)

    def chosen(self, row: Row) -> bool:
        """Whether the row has one of the values that `only` names."""
        for column, allowed in self.spec.only.items():
            if column not in row.values:
                raise InputError(f"it has no {column!r}, which `only` goes by")
            if str(row.values[column]).casefold() not in {str(value).casefold() for value in allowed}:
                return False
        return True

    def pair(self, row: Row, item: str, split: str) -> Pair:
        """The row as a pair; its media are written if they came as bytes.

        Raises:
            PanvecError: an empty query, no answer, a missing or damaged medium, a value that is no content.
        """
        query = self._together(self.columns.query, row)
        positives = tuple(dict.fromkeys(self._answers(self.columns.positives, row)))
        if not query or not positives:
            raise InputError("its query is empty" if not query else f"it has no answer in {_named(self.columns.positives)}")
        negatives = tuple(dict.fromkeys(self._answers(self.columns.negatives, row)))
        language = row.values.get("language") or self.spec.language
        return Pair(item, query, positives, negatives, split, str(language))

    def _check(self) -> None:
        named, there = self.table.name, ", ".join(self.table.columns)
        missing = sorted(self.needed - {"split", "language"} - set(self.table.columns))
        if self.table.whole and missing:
            raise InputError(f"{named} has no column {', '.join(map(repr, missing))}: it has {there}")
        if self.columns.label is None and {"templates", "held_out_labels"} & self.spec.given():
            raise InputError(f"{named}: which column is the label? It has {there}: name label")

    def _item(self, row: Row) -> str:
        column = self.columns.item
        if column and (self.spec.item or row.values.get(column) is not None):
            return _name(column, _value(row, column))
        values = [value for column in self.columns.query for value in _listed(_value(row, column))]
        for column in self.columns.query:
            for value in _listed(row.values[column]):
                if column in self._places and isinstance(value, str):
                    return (Path(value).parent / Path(value).stem).as_posix()
                if (data := _bytes(value)) is not None:
                    return hashlib.sha256(data).hexdigest()[:32]
        return short("\n".join(str(value) for value in values))

    def _together(self, columns: Iterable[str], row: Row) -> Side:
        """The columns as one content; empty where one of them is."""
        found = {column: self._parts(column, _value(row, column)) for column in columns}
        if self.columns.label in found:
            found[self.columns.label] = found[self.columns.label][:1]
        return tuple(part for parts in found.values() for part in parts) if all(found.values()) else ()

    def _answers(self, columns: Iterable[str | tuple[str, ...]], row: Row) -> list[Side]:
        answers: list[Side] = []
        for column in columns:
            if isinstance(column, str):
                answers += [(part,) for part in self._parts(column, row.values.get(column))]
            else:
                answers += [side] if (side := self._together(column, row)) else []
        return answers

    def _parts(self, column: str, value: Any) -> list[PartKey]:
        """What a column holds, each value a part; blank ones are none."""
        values = [one for one in _listed(value) if one is not None and not (isinstance(one, str) and not one.strip())]
        if column == self.columns.label:
            values = [template.replace("{}", _spoken(one)) for one in values for template in self.spec.templates]
        return [self._part(column, one) for one in values]

    def _part(self, column: str, value: Any) -> PartKey:
        if isinstance(value, Deferred):
            return value.make()
        if isinstance(value, str):
            return self._file(column, value) if column in self._places else ("text", _encodable(column, value))
        if (data := _bytes(value)) is not None:
            return _expected(column, self._store.add(data))
        if isinstance(value, dict) and value.get("path"):
            raise InputError(
                f"its {column} is a path without bytes ({value['path']}): embed the bytes, or name the folder in media"
            )
        raise InputError(f"its {column} is {_shown(value)}: give text, a path or bytes")

    def _file(self, column: str, value: str) -> PartKey:
        place = self._places[column]
        path = inside(place.folder, _encodable(column, value))
        return place.modality or detect(path, Limits()).modality, str(path)


def _columns(spec: SourceSpec, table: Table) -> _Columns:
    there = table.columns
    query = tuple(spec.query) or _first(_QUERIES, there)
    positives = _tuples(spec.positives) or table.positives or _first([c for c in _POSITIVES if c not in query], there)
    if not query or not positives:
        what = "the query" if not query else "the answers"
        raise InputError(f"{table.name}: which column is {what}? It has {', '.join(there)}: name query and positives")
    negatives = _tuples(spec.negatives) or tuple(column for column in there if _NEGATIVE.fullmatch(column))
    label = spec.label or next(iter(_first(_LABELS, there)), None)
    item = spec.item or table.item or next(iter(_first(_ITEMS, there)), None)
    return _Columns(query, positives, negatives, label, item)


def _tuples(columns: Iterable[str | Iterable[str]]) -> tuple[str | tuple[str, ...], ...]:
    return tuple(column if isinstance(column, str) else tuple(column) for column in columns)


def _first(usual: Iterable[str], there: Iterable[str]) -> tuple[str, ...]:
    return tuple(column for column in usual if column in set(there))[:1]


def _flat(columns: Iterable[str | Iterable[str]]) -> Iterable[str]:
    for column in columns:
        yield from (column,) if isinstance(column, str) else column


def _named(columns: Iterable[str | Iterable[str]]) -> str:
    return ", ".join(column if isinstance(column, str) else " with ".join(column) for column in columns)


def _value(row: Row, column: str) -> Any:
    if column not in row.values:
        raise InputError(f"it has no {column!r}; it has {', '.join(map(str, row.values)) or 'nothing'}")
    return row.values[column]


def _name(column: str, value: Any) -> str:
    if not isinstance(value, str | int) or value == "":
        raise InputError(f"its {column} is {_shown(value)}: an item has a name or a number")
    return str(value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _bytes(value: Any) -> bytes | None:
    """The bytes of a medium: as they are, or as Hugging Face stores them."""
    data = value.get("bytes") if isinstance(value, dict) else value
    return bytes(data) if isinstance(data, bytes | bytearray | memoryview) else None


def _expected(column: str, part: PartKey) -> PartKey:
    """The part, if it is of the modality that the column's name says; an animation is good for a picture."""
    expected = MODALITIES.get(column, part[0])
    if part[0] != expected and not (expected == "image" and part[0] == "video"):
        raise InputError(f"its {column} is of another modality: {part[0]}")
    return part


def _spoken(label: Any) -> str:
    if not isinstance(label, str):
        raise InputError(f"its label is {_shown(label)}: give the name of the class")
    return label.replace("_", " ")


def _encodable(column: str, value: str) -> str:
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InputError(f"its {column} holds a character that no text may hold")
    return value


def short(name: str) -> str:
    """A text as the name of its item: itself, or its hash where it is long."""
    return name if len(name) <= _LONGEST_ITEM else hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _shown(value: Any) -> str:
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) <= 40 else shown[:37] + '...'}"
