"""Readers: any source of pairs behind one face.

`open_source(SourceSpec(path="flickr8k"))` gives pairs whose every side is a content, whatever the source's format. Bad
rows never stop it and are never dropped in silence: `report` counts them and names their lines, and a warning says so.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from panvec.data.formats.columns import ColumnPairs, Facts
from panvec.data.formats.files import canonical, is_pattern
from panvec.data.formats.folders import exercises, grocery
from panvec.data.formats.huggingface import huggingface, is_saved
from panvec.data.formats.lines import csv_files, jsonl
from panvec.data.formats.parquet import parquet
from panvec.data.formats.rows import Bad, Row, Rows, Table, json_rows
from panvec.data.formats.spec import Format, SourceSpec
from panvec.data.formats.webdataset import webdataset
from panvec.data.pairs import FILE, Pair, pair_of
from panvec.errors import InputError, PanvecError

__all__ = ["BadRowsWarning", "Format", "Reader", "Report", "SourceSpec", "open_source", "share_of"]

_KEPT = 100
_SHOWN = 10
_COMMON = frozenset({"path", "format", "split", "dev_share", "limit", "held_out_items", "strict", "licence"})
_COLUMNS = frozenset(
    {"only", "language", "query", "positives", "negatives", "label", "item", "templates", "held_out_labels", "media"}
)
_BYTES = frozenset({"cache", "medium_bytes"})


class BadRowsWarning(UserWarning):
    """Rows that could not be read, or a source that gave no pair."""


@dataclass
class Report:
    """What became of the rows of a source."""

    name: str
    rows: int = 0
    pairs: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Good rows that were not asked for, by reason."""
    bad: int = 0
    problems: list[Bad] = field(default_factory=list)
    """The first hundred bad rows: where, and why."""

    def add(self, bad: Bad) -> None:
        """Count a bad row."""
        self.bad += 1
        if len(self.problems) < _KEPT:
            self.problems.append(bad)

    def __str__(self) -> str:
        left = "".join(f", {count:,} {why}" for why, count in self.left_out.most_common())
        lines = [f"{self.name}: {self.pairs:,} pairs of {self.rows:,} rows{left}; {self.bad:,} bad rows"]
        lines += [f"  {bad.where}: {bad.why}" for bad in self.problems[:_SHOWN]]
        return "\n".join(lines + ([f"  and {self.bad - _SHOWN:,} more"] if self.bad > _SHOWN else []))


class Reader:
    """The pairs of a source, as often as it is iterated over; `report` is of the last time.

    With bad rows, or without a pair, a `BadRowsWarning` with the report is given at the end.
    """

    def __init__(self, spec: SourceSpec, root: Path = Path()) -> None:
        path = root / spec.path
        self.spec = spec
        self.format = spec.format or _inferred(spec, path)
        self.report = Report(spec.path)
        self._source = _opened(self.format, spec, path)
        self._items, self._labels = frozenset(spec.held_out_items), frozenset(map(_plain, spec.held_out_labels))

    def __iter__(self) -> Iterator[Pair]:
        """The pairs, in the source's order.

        Raises:
            InputError: a bad row and `strict`, or every row is bad.
        """
        report = self.report = Report(self.spec.path)
        try:
            for row in self._source.rows():
                report.rows += 1
                pair = self._pair(row, report)
                if pair is not None:
                    report.pairs += 1
                    yield pair
                if report.pairs == self.spec.limit:
                    break
        finally:
            if report.bad:
                warnings.warn(str(report), BadRowsWarning, stacklevel=2)
        self._check(report)

    def _pair(self, row: Row | Bad, report: Report) -> Pair | None:
        try:
            if isinstance(row, Bad):
                raise InputError(row.why)
            facts = self._source.facts(row)
            split = _split(facts, self.spec)
            if why := self._unwanted(row, facts, split):
                report.left_out[why] += 1
                return None
            return self._source.pair(row, facts.item, split)
        except PanvecError as error:
            if self.spec.strict:
                raise InputError(f"{row.where}: {error}") from error
            report.add(Bad(row.where, str(error)))
            return None

    def _unwanted(self, row: Row, facts: Facts, split: str) -> str:
        """Why a row is not asked for, or ''."""
        if not self._source.chosen(row):
            return "not among `only`"
        if facts.item in self._items:
            return "items held out"
        if facts.label is not None and _plain(facts.label) in self._labels:
            return "labels held out"
        return f"of split {split}" if split != canonical(self.spec.split) else ""

    def _check(self, report: Report) -> None:
        if report.pairs:
            return
        if report.bad == report.rows > 0:
            raise InputError(f"{report}\nEvery row is bad: is this the right format ({self.format}), and the right columns?")
        why = "dev_share takes some of its training items" if canonical(self.spec.split) == "dev" else "name another split"
        if not report.bad:
            warnings.warn(f"{report}\nNothing of split {self.spec.split}: {why}", BadRowsWarning, stacklevel=3)


def open_source(spec: SourceSpec, root: Path = Path()) -> Reader:
    """A reader of a source; a relative path is seen from `root`.

    Raises:
        InputError: nothing is there, its format cannot be told, or options that mean nothing to it.
    """
    return Reader(spec, root)


def share_of(item: str) -> float:
    """Where in 0..1 an item is, by its hash: below `dev_share` it is dev, in every source and run."""
    return int.from_bytes(hashlib.sha256(item.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64


class _Opened(Protocol):
    """A source whose rows can become pairs."""

    def rows(self) -> Rows: ...
    def facts(self, row: Row) -> Facts: ...
    def chosen(self, row: Row) -> bool: ...
    def pair(self, row: Row, item: str, split: str) -> Pair: ...


class _PairsFolder:
    """A folder with `pairs.jsonl`."""

    def __init__(self, folder: Path, only: dict[str, tuple[str | int | bool, ...]]) -> None:
        self.file, self.root, self.only = folder / FILE, folder.resolve(), only
        if not self.file.is_file():
            raise InputError(f"{folder} has no {FILE}: name a folder that has one")

    def rows(self) -> Rows:
        return json_rows(self.file)

    def facts(self, row: Row) -> Facts:
        if "item" not in row.values:
            raise InputError("the row has no 'item'")
        return Facts(str(row.values["item"]), str(row.values.get("split", "")))

    def chosen(self, row: Row) -> bool:
        """By the row's own columns, or by `modality`, that of its query's first part."""
        query = row.values.get("query") or [""]
        values = row.values | {"modality": next(iter(query[0])) if isinstance(query[0], dict) else "text"}
        return all(values.get(column) in wanted for column, wanted in self.only.items())

    def pair(self, row: Row, item: str, split: str) -> Pair:
        pair = pair_of(row.values, self.root)
        keys = [key for side in (pair.query, *pair.positives, *pair.negatives) for key in side]
        for modality, value in keys:
            if modality != "text" and not os.path.isfile(value):
                raise InputError(f"{value} is no file")
        return Pair(item, pair.query, pair.positives, pair.negatives, split, pair.language)


@dataclass(frozen=True)
class _Kind:
    """A format: how it is opened, which options mean something to it, and the file or suffix that tells it."""

    table: Callable[[SourceSpec, Path], Table] | None
    options: frozenset[str]
    file: str = ""
    suffix: str = ""


_KINDS: dict[Format, _Kind] = {
    "pairs": _Kind(None, frozenset({"only"}), FILE),
    "grocery": _Kind(grocery, _COLUMNS, "classes.jsonl"),
    "exercises": _Kind(exercises, _COLUMNS | {"photos", "cache"}, "meta.jsonl"),
    "jsonl": _Kind(jsonl, _COLUMNS, "captions.jsonl labels.jsonl", ".jsonl"),
    "parquet": _Kind(parquet, _COLUMNS | _BYTES, suffix=".parquet"),
    "webdataset": _Kind(webdataset, _COLUMNS | _BYTES, suffix=".tar"),
    "csv": _Kind(csv_files, _COLUMNS, suffix=".csv"),
    "huggingface": _Kind(huggingface, _COLUMNS | _BYTES | {"name", "revision", "allow_network"}),
}


def _opened(format_: Format, spec: SourceSpec, path: Path) -> _Opened:
    if format_ not in _KINDS:
        raise InputError(f"{spec.path}: there is no format {format_!r}: use one of {', '.join(_KINDS)}")
    kind = _KINDS[format_]
    if idle := sorted(spec.given() - _COMMON - kind.options):
        raise InputError(f"{spec.path}: {', '.join(idle)} mean nothing to the format {format_}: leave them out")
    if kind.table is None:
        return _PairsFolder(path if path.is_dir() else path.parent, spec.only)
    return ColumnPairs(spec, kind.table(spec, path))


def _inferred(spec: SourceSpec, path: Path) -> Format:
    """The format of what is at `path`."""
    if not path.exists() and not is_pattern(path):
        raise InputError(f"{path} is not there; a data set of the hub needs format: huggingface and allow_network: true")
    if path.is_dir() and is_saved(path):
        return "huggingface"
    tells = _tells_folder if path.is_dir() else _tells_file
    for name, kind in _KINDS.items():
        if tells(kind, path):
            return name
    raise InputError(f"{spec.path}: what format is this? Name one of {', '.join(_KINDS)} as format")


def _tells_folder(kind: _Kind, folder: Path) -> bool:
    if any((folder / file).is_file() for file in kind.file.split()):
        return True
    return bool(kind.suffix) and kind.suffix != ".jsonl" and any(folder.glob(f"*{kind.suffix}"))


def _tells_file(kind: _Kind, file: Path) -> bool:
    return file.name in kind.file.split() or (bool(kind.suffix) and file.name.lower().endswith(kind.suffix))


def _split(facts: Facts, spec: SourceSpec) -> str:
    own = canonical(facts.split) or "train"
    return "dev" if own == "train" and share_of(facts.item) < spec.dev_share else own


def _plain(label: str) -> str:
    return label.replace("_", " ").casefold()
