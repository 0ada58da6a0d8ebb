"""Data sets of Hugging Face: a folder that `datasets` can load, or (only where allowed) one of the hub, streamed."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

from panvec.data.formats.files import canonical, may_hold
from panvec.data.formats.parquet import with_names
from panvec.data.formats.rows import Bad, Row, Rows, Table, first_columns
from panvec.data.formats.spec import SourceSpec
from panvec.errors import InputError

_SAVED = ("dataset_dict.json", "dataset_info.json")


def huggingface(spec: SourceSpec, path: Path) -> Table:
    """A data set's splits, media as the bytes that they are.

    Raises:
        InputError: `datasets` is not installed, a name of the hub without `allow_network`, or nothing to load.
    """
    splits = _splits(spec, path)
    used = {name: rows for name, rows in splits.items() if may_hold(name, spec)}
    first = next(iter(splits))
    columns = splits[first].column_names or first_columns(spec.path, _rows(first, splits[first]), 1)
    return Table(
        name=spec.path,
        folder=path,
        columns=tuple(columns),
        whole=True,
        rows=lambda needed: chain.from_iterable(_rows(name, _only(rows, needed)) for name, rows in used.items()),
    )


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    return any((folder / name).is_file() for name in _SAVED)


def _splits(spec: SourceSpec, path: Path) -> dict[str, Any]:
    """The splits by name, undecoded and streaming."""
    try:
        import datasets
    except ImportError as error:
        raise InputError("reading data sets of Hugging Face needs datasets: pip install 'panvec[train]'") from error
    if not path.exists() and not spec.allow_network:
        raise InputError(f"{spec.path} is no folder here, and nothing is fetched unasked: allow_network permits the hub")
    try:
        loaded = _loaded(datasets, spec, path)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise InputError(f"{spec.path} cannot be loaded as a data set of Hugging Face ({error})") from error
    return {name: rows.decode(False) for name, rows in loaded.items()}


def _loaded(datasets: Any, spec: SourceSpec, path: Path) -> dict[str, Any]:
    if not path.exists():
        return dict(datasets.load_dataset(spec.path, spec.name, revision=spec.revision, streaming=True))
    if not is_saved(path):
        return dict(datasets.load_dataset(str(path), spec.name, streaming=True))
    saved = datasets.load_from_disk(str(path))
    splits = saved if isinstance(saved, datasets.DatasetDict) else {"train": saved}
    return {name: rows.to_iterable_dataset() for name, rows in splits.items()}


def _only(rows: Any, needed: frozenset[str]) -> Any:
    there = rows.column_names
    return rows.select_columns([name for name in there if name in needed]) if there else rows


def _rows(split: str, rows: Any) -> Rows:
    names = {name: kind.names for name, kind in (rows.features or {}).items() if hasattr(kind, "str2int")}
    number = 0
    try:
        for number, values in enumerate(rows, 1):
            yield Row(f"{split}, row {number}", with_names(dict(values), names), canonical(split))
    except Exception as error:  # noqa: BLE001 - whatever a file format or a connection of `datasets` raises
        yield Bad(f"{split}, after row {number}", f"the rest cannot be read ({type(error).__name__}: {error})")
