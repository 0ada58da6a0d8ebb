"""The sample suite: small data that come with the repository, and the scores of each item that a change is held against."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from panvec.content import Content
from panvec.errors import InputError
from panvec.evaluation.compare import Difference, compare, left_out
from panvec.evaluation.local import Report, evaluate_local
from panvec.evaluation.vectors import PRECISIONS, Progress
from panvec.files import write_text
from panvec.models.embedder import Embedder

BASELINE = "baseline.json"
_PLACE = Path("examples") / "sample"
_KEPT = ("space_id", "data", "dims", "seed", "versions", "date")


def sample_folder(given: Path | None) -> Path:
    """The data: those given, else of the installed package, else of the repository this runs from.

    Raises:
        InputError: they are not there.
    """
    package, repository = Path(__file__).parents[1], Path(__file__).parents[3]
    places = [given] if given else [package / _PLACE, repository / _PLACE]
    for place in places:
        if any(place.glob("*/*.jsonl")):
            return place
    raise InputError(f"no sample data in {' or '.join(map(str, places))}: name the folder that holds them with --data")


def evaluate_sample(
    folder: Path,
    embedder: Embedder,
    progress: Progress | None = None,
    agree: Callable[[list[Content]], object] | None = None,
) -> Report:
    """Score an embedder on the sample at every dimension and precision, for all languages together and for each."""
    return evaluate_local(
        folder, embedder, dims=embedder.dims, precisions=PRECISIONS, by="language", progress=progress, agree=agree
    )


def record(folder: Path, report: Report) -> Path:
    """Write the scores of each item, at the longest dimension in float32, as what later runs are held against."""
    result = report.as_dict(items=True)
    kept = {name: result[name] for name in _KEPT} | {"scores": _recordable(result)}
    kept["data"] = [{"name": data["name"], "sha256": data["sha256"]} for data in result["data"]]
    lines = ",\n".join(f"  {json.dumps(score, ensure_ascii=False)}" for score in kept.pop("scores"))
    head = json.dumps(kept, indent=1, ensure_ascii=False).removesuffix("\n}")
    write_text(folder / BASELINE, f'{head},\n "scores": [\n{lines}\n ]\n}}\n')
    return folder / BASELINE


def against_baseline(folder: Path, report: Report) -> list[Difference]:
    """Each score of the sample beside the recorded one.

    Raises:
        InputError: nothing was recorded, or on other rows, or a score that was recorded is not in the report.
    """
    baseline, result = _baseline(folder), report.as_dict(items=True)
    differences, gone = compare(baseline, result), left_out(baseline, result)
    if gone:
        raise InputError(
            f"{len(gone)} scores of {folder / BASELINE} were not made, the first is {gone[0]}: "
            "if tasks, dims or languages were meant to go, record the rest with --record"
        )
    return differences


def unrecorded(folder: Path, report: Report) -> list[str]:
    """The names of the scores that a new record would hold and the baseline does not.

    Raises:
        InputError: nothing was recorded.
    """
    return left_out({"scores": _recordable(report.as_dict(items=True))}, _baseline(folder))


def _baseline(folder: Path) -> dict[str, Any]:
    file = folder / BASELINE
    if not file.is_file():
        raise InputError(f"there is no {file}: record one with --record")
    baseline: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return baseline


def _recordable(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The scores with items at the longest dimension in float32."""
    full = (max(result["dims"]), "float32")
    return [_small(score) for score in result["scores"] if score["items"] and (score["dim"], score["precision"]) == full]


def _small(score: dict[str, Any]) -> dict[str, Any]:
    items = [int(value) if float(value).is_integer() else value for value in score["items"]]
    return {name: score[name] for name in ("data", "task", "metric", "dim", "precision")} | {"items": items}
