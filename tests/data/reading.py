"""How tests of readers read."""

import hashlib
import warnings
from pathlib import Path

import pytest
from small_media import json_lines, wav_bytes, write

from panvec.data.pairs import Pair, Side
from panvec.data.readers import BadRowsWarning, SourceSpec, open_source


def spec(path: Path, **options: object) -> SourceSpec:
    return SourceSpec(path=str(path), **options)


def read(path: Path, **options: object) -> list[Pair]:
    """The pairs of a source that holds no bad row."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", BadRowsWarning)
        return list(open_source(spec(path, **options)))


def read_with_bad(path: Path, **options: object) -> tuple[list[Pair], list[tuple[str, str]]]:
    """The pairs, and where and why rows are bad."""
    reader = open_source(spec(path, **options))
    with pytest.warns(BadRowsWarning) as caught:
        pairs = list(reader)
    assert len(caught) == 1
    assert str(caught[0].message) == str(reader.report)
    assert reader.report.bad == len(reader.report.problems)
    assert reader.report.rows == reader.report.bad + len(pairs) + reader.report.left_out.total()
    return pairs, [(bad.where, bad.why) for bad in reader.report.problems]


def values(sides: tuple[Side, ...]) -> list[tuple[str, ...]]:
    """The texts and the names of the files."""
    return [tuple(value if modality == "text" else Path(value).name for modality, value in side) for side in sides]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def labels(folder: Path, rows: list[object]) -> Path:
    for name in "abcdef":
        write(folder / f"audio/{name}.wav", wav_bytes())
    json_lines(folder / "labels.jsonl", rows)
    return folder
