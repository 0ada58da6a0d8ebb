"""Files that commands write; and where `panvec embed` writes vectors: the screen, or a file, as they are made."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

from panvec.errors import InputError


class Sink(Protocol):
    """Takes vectors `[inputs, dim]` with the names of their inputs, a batch at a time."""

    def __call__(self, names: list[str], vectors: Any) -> None:
        """Write a batch."""
        ...


def check_vectors_out(out: Path) -> None:
    """Nothing, when vectors can be written to `out`.

    Raises:
        InputError: as `check_out`, or parquet is not installed.
    """
    check_out(out, ".npy", ".jsonl", ".parquet")
    if out.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise InputError(f'writing {out} needs pyarrow: pip install "panvec[parquet]"') from None


def check_out(out: Path, *endings: str) -> None:
    """Nothing, when `out` can be written.

    Raises:
        InputError: its name has none of the endings, or it cannot be a file there.
    """
    if out.suffix not in endings:
        raise InputError(f"cannot write {out}: its name must end in {' or '.join(endings)}")
    if not out.parent.is_dir():
        raise InputError(f"cannot write {out}: there is no folder {out.parent}")
    if out.is_dir() or not os.access(out if out.exists() else out.parent, os.W_OK):
        raise InputError(f"cannot write {out}: it is a folder, or may not be written")


@contextmanager
def open_sink(out: Path | TextIO, space_id: str) -> Iterator[Sink]:
    """A sink that writes to `out`; a .npy has its names beside it, in `.names.json`."""
    if not isinstance(out, Path):
        yield _lines(out, space_id)
    elif out.suffix == ".jsonl":
        with out.open("w", encoding="utf-8") as file:
            yield _lines(file, space_id)
    elif out.suffix == ".npy":
        yield from _npy(out, space_id)
    else:
        yield from _parquet(out, space_id)


def _lines(file: TextIO, space_id: str) -> Sink:
    def write(names: list[str], vectors: Any) -> None:
        for name, vector in zip(names, vectors.tolist(), strict=True):
            file.write(json.dumps({"input": name, "vector": vector, "space_id": space_id}) + "\n")
        file.flush()

    return write


def _npy(out: Path, space_id: str) -> Iterator[Sink]:
    import numpy as np

    all_names: list[str] = []
    batches: list[Any] = []

    def write(names: list[str], vectors: Any) -> None:
        all_names.extend(names)
        batches.append(vectors)

    try:
        yield write
    finally:
        if batches:
            np.save(out, np.concatenate(batches))
            index = json.dumps({"space_id": space_id, "names": all_names})
            out.with_suffix(".names.json").write_text(index, encoding="utf-8")


def _parquet(out: Path, space_id: str) -> Iterator[Sink]:
    import pyarrow
    import pyarrow.parquet

    writer: Any = None

    def write(names: list[str], vectors: Any) -> None:
        nonlocal writer
        table = pyarrow.table({"input": names, "vector": list(vectors), "space_id": [space_id] * len(names)})
        writer = writer or pyarrow.parquet.ParquetWriter(out, table.schema)
        writer.write_table(table)

    try:
        yield write
    finally:
        if writer:
            writer.close()
