"""Tasks of mteb's on data folders: few-shot classification, clustering, STS and bitext mining, with mteb's own metrics."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import datasets
import mteb
import numpy as np
from mteb.abstasks.classification import AbsTaskClassification
from mteb.abstasks.clustering import AbsTaskClustering
from mteb.abstasks.sts import AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining
from sklearn.exceptions import UndefinedMetricWarning

from panvec.evaluation.data import DataSet, Selection, read_data
from panvec.evaluation.rows import Labelled, Pair
from panvec.evaluation.suites.encoder import MtebEncoder
from panvec.evaluation.suites.prompts import task_of
from panvec.evaluation.suites.rows import DOCUMENT
from panvec.evaluation.vectors import Words
from panvec.tasks import Task

_FEATURES = {"image": datasets.Image, "audio": datasets.Audio, "video": datasets.Video}
_KINDS = (*_FEATURES, "document", "text")
_CATEGORIES = {"image": "i2c", "audio": "a2c", "video": "v2c", DOCUMENT: "i2c"}
_TEXTS = frozenset({"text", "sentence1", "sentence2"})
_METRICS = {
    "Classification": ("accuracy", "f1"),
    "Clustering": ("v_measure",),
    "STS": ("cosine_spearman",),
    "BitextMining": ("f1", "accuracy"),
}


class _Ready:
    """Data that are there already."""

    def load_data(self, num_proc: int | None = None, **_: Any) -> None:
        """Nothing to do."""


class FewShot(_Ready, AbsTaskClassification):
    """A linear classifier on eight items of each class, ten times."""


class Clusters(_Ready, AbsTaskClustering):
    """k-means, and how far its clusters are the classes."""

    max_fraction_of_documents_to_embed = None
    label_column_name = "label"


class Similarity(_Ready, AbsTaskSTS):
    """Cosines of sentences and people's scores, by rank."""


class Bitext(_Ready, AbsTaskBitextMining):
    """A sentence finds its translation."""


def evaluate_with_mteb(folder: Path, encoder: MtebEncoder, selection: Selection) -> list[dict[str, Any]]:
    """The scores of mteb's tasks that the rows of a data folder allow: data, task, metric, value, items.

    Raises:
        InputError, MediaError: as `read_data`.
    """
    with warnings.catch_warnings(action="ignore", category=UndefinedMetricWarning):  # of a class never guessed
        return [
            score
            for data in read_data(folder, selection)[0]
            for task in tasks_of(data, selection.seed)
            for score in _scores(data, task, encoder)
        ]


def embedded_again(folder: Path, selection: Selection) -> dict[Task, list[str]]:
    """The texts that these tasks embed for themselves, under the prompt of each: media have none and are known already."""
    found: dict[Task, dict[str, None]] = defaultdict(dict)
    for task in (task for data in read_data(folder, selection)[0] for task in tasks_of(data, selection.seed)):
        if (prompt := task_of(task.metadata, None)) is not None:
            for part in task.dataset.values():
                for column in _TEXTS.intersection(part.column_names):
                    found[prompt].update(dict.fromkeys(part[column]))
    return {prompt: list(texts) for prompt, texts in found.items()}


def tasks_of(data: DataSet, seed: int) -> Iterator[Any]:
    """The tasks that a data set allows: of labelled media and texts, and of pairs of sentences."""
    for kind in _KINDS:
        labelled = [row for row in data.rows if isinstance(row, Labelled) and row.medium.kind == kind]
        yield from _of_labels(data, DOCUMENT if kind == "document" else kind, labelled, seed)
    pairs = [row for row in data.rows if isinstance(row, Pair)]
    alike = [pair for pair in pairs if pair.score is not None]
    translated = [pair for pair in pairs if pair.score is None]
    scores = [cast(float, pair.score) for pair in alike]
    if len(set(scores)) > 1:
        columns = {**_sentences(alike), "score": scores}
        yield _task(Similarity, data, "STS", "text", {"test": columns}, low=min(scores), high=max(scores))
    if len(translated) > 1:
        yield _task(Bitext, data, "BitextMining", "text", {"test": _sentences(translated)})


def _of_labels(data: DataSet, kind: str, rows: list[Labelled], seed: int) -> Iterator[Any]:
    by_class: dict[str, list[str]] = defaultdict(list)
    for row in dict.fromkeys(rows):
        by_class[row.class_name].append(row.medium.text if isinstance(row.medium, Words) else str(row.medium.path))
    classes = sorted(name for name, members in by_class.items() if len(members) > 1)
    if len(classes) < 2:
        return
    random = np.random.default_rng(seed)
    halves: dict[str, list[tuple[str, int]]] = {"train": [], "test": []}
    for label, name in enumerate(classes):
        mixed = [by_class[name][i] for i in random.permutation(len(by_class[name]))]
        halves["train"] += [(member, label) for member in mixed[::2]]
        halves["test"] += [(member, label) for member in mixed[1::2]]
    columns: dict[str, dict[str, list[Any]]] = {
        split: {kind: [member for member, _ in part], "label": [label for _, label in part]} for split, part in halves.items()
    }
    yield _task(FewShot, data, "Classification", kind, columns)
    both = {name: columns["train"][name] + columns["test"][name] for name in (kind, "label")}
    yield _task(Clusters, data, "Clustering", kind, {"test": both})


def _sentences(pairs: list[Pair]) -> dict[str, list[Any]]:
    return {"sentence1": [pair.first for pair in pairs], "sentence2": [pair.second for pair in pairs]}


def _task(
    base: type[Any],
    data: DataSet,
    sort: str,
    kind: str,
    splits: dict[str, dict[str, list[Any]]],
    low: float = 0,
    high: float = 5,
) -> Any:
    name = "".join(c if c.isalnum() else "_" for c in f"{data.name}_{sort}_{kind}")
    task = type(name, (base,), {"metadata": _metadata(name, data, sort, kind)})()
    task.dataset = datasets.DatasetDict({split: _table(columns, kind) for split, columns in splits.items()})
    task.data_loaded, task.min_score, task.max_score = True, low, high
    task.input_column_name = [kind] if kind == DOCUMENT else kind  # mteb leaves the columns of a list as they are
    return task


def _table(columns: dict[str, list[Any]], kind: str) -> datasets.Dataset:
    table = datasets.Dataset.from_dict(columns)
    return table.cast_column(kind, _FEATURES[kind]()) if kind in columns and kind in _FEATURES else table


def _scores(data: DataSet, task: Any, encoder: MtebEncoder) -> Iterator[dict[str, Any]]:
    results = mteb.evaluate(cast(Any, encoder), task, cache=None, co2_tracker=False, show_progress_bar=False)
    found = results.task_results[0].scores["test"][0]
    sort = task.metadata.type
    title = {"Classification": "few-shot classification", "Clustering": "clustering", "BitextMining": "translation"}.get(
        sort, sort
    )
    for metric in _METRICS[sort]:
        items = len(task.dataset["test"])
        yield {
            "data": data.name,
            "task": title,
            "metric": metric,
            "value": float(found[metric]),
            "items": items,
            "dim": encoder.dim,
        }


def _metadata(name: str, data: DataSet, sort: str, kind: str) -> TaskMetadata:
    return TaskMetadata(
        name=name,
        description=f"{sort} on {data.file.name} of {data.name}.",
        reference=None,
        dataset={"path": data.name, "revision": data.sha256},
        type=cast(Any, sort),
        category=cast(Any, _CATEGORIES.get(kind, "t2t" if sort in ("STS", "BitextMining") else "t2c")),
        modalities=[cast(Any, "image" if kind == DOCUMENT else kind)],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score=_METRICS[sort][0],
        date=None,
        domains=None,
        task_subtypes=None,
        license=None,
        annotations_creators=None,
        dialect=None,
        sample_creation=None,
        bibtex_citation=None,
    )
