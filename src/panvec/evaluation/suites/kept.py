"""What a run of a task leaves in the folder of results: mteb's result, and beside it our settings and the scores of queries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mteb.cache.result_cache import ResultCache
from mteb.results import TaskResult

from panvec.evaluation.suites.encoder import MtebEncoder
from panvec.evaluation.suites.queries import Ranked
from panvec.files import write_text

SETTINGS = "panvec_settings.jsonl"
"""Beside mteb's result files of a model: a line for each run of a task, with what is needed to repeat it."""


@dataclass(frozen=True)
class Kept:
    """A run of a task that came to its end."""

    result: TaskResult
    settings: dict[str, Any]
    ranked: list[Ranked]


def read_kept(task: Any, encoder: MtebEncoder, cache: ResultCache) -> Kept | None:
    """What a run of a task has written.

    None where something is missing, cut off or without a subset: the task was never run, or the run was killed.
    """
    name = task.metadata.name
    try:
        result = cache.load_task_result(name, encoder.mteb_model_meta)
    except (ValueError, KeyError):
        return None
    runs = (run for run in reversed(_lines(_folder(encoder, cache) / SETTINGS)) if run.get("task") == name)
    settings = next(runs, None)
    if result is None or settings is None or result.get_missing_evaluations(task):
        return None
    return Kept(result, settings, [Ranked(**each) for each in _lines(_queries(task, encoder, cache))])


def write_kept(task: Any, encoder: MtebEncoder, cache: ResultCache, settings: dict[str, Any], ranked: Sequence[Ranked]) -> None:
    """Write what belongs to the result that mteb has written. The settings come last: with them a run is at its end.

    Other processes may write theirs to the same file: a line is added in one piece, after an empty one where the last is cut
    off, or still being written.
    """
    queries = "".join(map(_line, map(asdict, ranked)))
    write_text(_queries(task, encoder, cache), queries)
    file = _folder(encoder, cache) / SETTINGS
    cut_off = file.is_file() and file.read_bytes()[-1:] not in (b"", b"\n")
    with file.open("ab", buffering=0) as lines:
        lines.write(("\n" * cut_off + _line({"task": task.metadata.name, **settings})).encode())


def _queries(task: Any, encoder: MtebEncoder, cache: ResultCache) -> Path:
    """A line for each subset that was ranked. mteb reads files that end in .json."""
    return _folder(encoder, cache) / f"{task.metadata.name}.queries.jsonl"


def _folder(encoder: MtebEncoder, cache: ResultCache) -> Path:
    return Path(cache.get_task_result_path("task", encoder.mteb_model_meta)).parent


def _line(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False) + "\n"


def _lines(file: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file of lines, but for those that were cut off as they were written; none where it is not there."""
    found = []
    for line in file.read_text(encoding="utf-8", errors="replace").split("\n") if file.is_file() else ():
        with suppress(ValueError):
            found.append(json.loads(line))
    return [each for each in found if isinstance(each, dict)]
