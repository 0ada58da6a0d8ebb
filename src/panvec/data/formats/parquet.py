"""Parquet files, with media as Hugging Face stores them: `{"bytes", "path"}`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from panvec.data.formats.files import shards, split_of, used
from panvec.data.formats.rows import Bad, Row, Rows, Table
from panvec.data.formats.spec import SourceSpec
from panvec.errors import InputError

_ROWS = 64
"""Rows that are in memory at once, with their media."""


def parquet(spec: SourceSpec, path: Path) -> Table:
    """One file, a folder of them, or shards; a file whose name begins with a split is of that split.

    Raises:
        InputError: pyarrow is not installed, or the first file is no parquet.
    """
    files = shards(path, ".parquet")
    return Table(
        name=str(path),
        folder=path if path.is_dir() else path.parent,
        columns=_columns(files[0]),
        whole=True,
        rows=lambda needed: chain.from_iterable(_rows(file, needed) for file in used(files, spec)),
    )


def with_names(values: dict[str, Any], names: dict[str, list[str]]) -> dict[str, Any]:
    """The values, with the numbers of classes as their names; one that has none is None."""
    for column, classes in names.items():
        number = values.get(column)
        if isinstance(number, int):
            values[column] = classes[number] if 0 <= number < len(classes) else None
    return values


def _columns(file: Path) -> tuple[str, ...]:
    arrow, reader = _arrow()
    try:
        with reader(file) as opened:
            return tuple(opened.schema_arrow.names)
    except (arrow.ArrowException, OSError) as error:
        raise InputError(f"{file} is no parquet file that can be read ({error})") from error


def _rows(file: Path, needed: frozenset[str]) -> Rows:
    arrow, reader = _arrow()
    number = 0
    try:
        with reader(file) as opened:
            names = _class_names(opened.schema_arrow.metadata)
            columns = [name for name in opened.schema_arrow.names if name in needed]
            for batch in opened.iter_batches(batch_size=_ROWS, columns=columns):
                for values in _values(batch):
                    number += 1
                    yield Row(f"{file}, row {number}", with_names(values, names), split_of(file.name))
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        yield Bad(f"{file}, after row {number}", f"the rest of the file cannot be read ({error})")


def _values(batch: Any) -> Iterator[dict[str, Any]]:
    for row in range(batch.num_rows):
        yield {name: batch.column(name)[row].as_py() for name in batch.schema.names}


def _class_names(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """The names of the classes of each column that Hugging Face stored as numbers."""
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {name: list(map(str, kind["names"])) for name, kind in features.items() if kind.get("_type") == "ClassLabel"}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError("reading parquet needs pyarrow: pip install 'panvec[parquet]'") from error
    return pyarrow, pyarrow.parquet.ParquetFile
