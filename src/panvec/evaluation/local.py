"""`evaluate_local`: an embedder on data folders."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from panvec.content import Content
from panvec.errors import InputError
from panvec.evaluation.data import DataSet, Selection, read_data
from panvec.evaluation.failures import Failure
from panvec.evaluation.gap import Gap
from panvec.evaluation.metrics import RESAMPLES
from panvec.evaluation.score import Score
from panvec.evaluation.settings import surroundings
from panvec.evaluation.tasks import TEMPLATES, CaptionRetrieval, Shows, tasks_of
from panvec.evaluation.vectors import Embeds, Progress, Vectors, contents_of
from panvec.models.embedder import Embedder


@dataclass(frozen=True)
class Report:
    """Scores, and what is needed to get them again.

    Attributes:
        failures: the name and the error of everything that could not be embedded; the scores count it as missed.
        notes: what of the data was left out, and why.
        gaps: how far the media of each data set lie from their texts.
        worst: the misses that went furthest wrong, at the longest dimension.
        settings: those of the embedder, data with checksums, split, templates, seed, versions, machine, date.
    """

    scores: list[Score]
    failures: dict[str, str]
    notes: list[str]
    settings: dict[str, Any]
    gaps: list[Gap] = field(default_factory=list)
    worst: list[Failure] = field(default_factory=list)

    def as_dict(self, *, items: bool = False) -> dict[str, Any]:
        """For JSON; with the value of each query where `items`, which a paired comparison needs."""
        scores = [asdict(score if items else replace(score, items=())) for score in self.scores]
        found = {"gaps": [asdict(gap) for gap in self.gaps], "worst": [asdict(failure) for failure in self.worst]}
        return {"kind": "local", **self.settings, "notes": self.notes, "failures": self.failures, "scores": scores, **found}


def evaluate_local(
    folder: Path,
    embedder: Embeds,
    *,
    split: str | None = None,
    where: Mapping[str, str] | None = None,
    limit: int | None = None,
    dims: Sequence[int] | None = None,
    templates: Sequence[str] | None = None,
    seed: int = 0,
    dev_share: float = 0.0,
    precisions: Sequence[str] = ("float32",),
    by: str | None = None,
    progress: Progress | None = None,
    agree: Callable[[list[Content]], object] | None = None,
    vectors: Vectors | None = None,
) -> Report:
    """Score an embedder on a data folder, or on each one in a folder of them; docs/evaluation.md has their format.

    Args:
        folder: the data.
        embedder: an `Embedder`, or anything that embeds as one.
        split: the rows of this split; None is the held-back one (dev, val, validation), or all rows of a file without splits.
            A split called test is read only when it is named.
        where: values that fields of a row must have, such as `{"fold": "3"}`.
        limit: at most so many rows of a file, drawn at random.
        dims: nested dimensions, each scored; the longest by default.
        templates: what a class is called, `{}` for its name; by default `TEMPLATES` of its kind of media.
        dev_share: the share of the rows that was kept out of training and is scored, as recipes have it for their sources.
        seed: of every draw: rows, mixed pools, bootstrap samples.
        precisions: of the vectors, each scored: float32, int8, binary.
        by: a field, such as a language: the rows of each of its values are also scored among themselves.
        agree: is told all that will be embedded before anything is, and may raise: what a hosted model costs is known then.
        progress: is told items embedded, items in all, and the name of the one at work.
        vectors: of this embedder, where what is embedded is kept; by default for this evaluation alone.

    Raises:
        InputError: no row is chosen, an unknown dimension, a wrong template.
        MediaError: no data, or a row that cannot be understood.
        ModelError: nothing at all can be embedded, or the service of a hosted model failed.
        LimitError: the budget of a hosted model is spent.
    """
    began = time.monotonic()
    dims = _dims(embedder, dims)
    selection = Selection(split, where or {}, limit, seed, dev_share, by)
    named = {kind: tuple(templates or default) for kind, default in TEMPLATES.items()}
    data, notes = read_data(folder, selection)
    tasks = [task for each in data for task in tasks_of(each, named)]
    vectors = Vectors(embedder) if vectors is None else vectors
    seen = {precision: vectors.at(precision) for precision in dict.fromkeys(precisions)}
    items = list(dict.fromkeys(item for task in tasks for item in task.items))
    if agree:
        agree(contents_of(items))
    vectors.add(items, progress)
    scores = [
        replace(score, precision=precision)
        for task in tasks
        for precision, coarse in seen.items()
        for dim in dims
        for score in task.scores(coarse, dim, seed)
    ]
    longest = max(dims)
    gaps = [found for task in tasks if isinstance(task, CaptionRetrieval) and (found := task.gap(vectors, longest))]
    worst = [failure for task in tasks if isinstance(task, Shows) for failure in task.failures(vectors, longest)]
    settings = {
        **(embedder.settings if isinstance(embedder, Embedder) else {"space_id": embedder.space_id}),
        "data": [_describe(each) for each in data],
        **asdict(selection),
        "resamples": RESAMPLES,
        "embedder_task": None,
        "templates": named,
        "dims": list(dims),
        "precisions": list(seen),
        "embedded": len(vectors),
        "seconds": round(time.monotonic() - began, 3),
        "seconds_in_model": round(vectors.seconds, 3),
        **surroundings(),
    }
    return Report(scores, vectors.failures, notes, settings, gaps, worst)


def _dims(embedder: Embeds, dims: Sequence[int] | None) -> Sequence[int]:
    wrong = [dim for dim in dims or () if dim not in embedder.dims]
    if wrong:
        raise InputError(f"no dim {wrong[0]}: the model has {', '.join(map(str, embedder.dims))}")
    return list(dict.fromkeys(dims or embedder.dims[:1]))


def _describe(data: DataSet) -> dict[str, Any]:
    return {"name": data.name, "file": str(data.file), "sha256": data.sha256, "split": data.split, "rows": data.chosen}
