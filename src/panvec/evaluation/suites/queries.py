"""The scores of each query, which mteb's results leave out: it tells them where a task ranks candidates, nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from mteb._evaluators.retrieval_metrics import mrr
from numpy.typing import NDArray

from panvec.evaluation.failures import SHOWN
from panvec.evaluation.suites.rows import MODALITIES, undecoded, values_of

_OF_A_QUERY = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P", "hit_rate": "success"}
"""mteb's name of a metric, and pytrec_eval's of its value for one query."""
_DIGITS = 6
_LONGEST = 500
"""Characters of a query that are kept."""
_ByQuery: TypeAlias = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Ranked:
    """The queries of a split and subset of a task, in order of their names, and by metric the value of each.

    Attributes:
        shown: the parts of the queries that score lowest, their kinds and texts or files, as a page shows them.
    """

    split: str
    subset: str
    queries: list[str]
    values: dict[str, list[float]]
    shown: dict[str, list[dict[str, str]]] = field(default_factory=dict)


class QueryScores:
    """Listens to a task while it runs.

    Args:
        task: of mteb's.
        metrics: such as `ndcg_at_10`; one that has no value for each query is left out.

    Attributes:
        ranked: what was heard, of each split and subset.
    """

    def __init__(self, task: Any, metrics: Sequence[str]) -> None:
        self.ranked: list[Ranked] = []
        told = getattr(task, "task_specific_scores", None)
        if told is None:
            return

        def listen(scores: _ByQuery, qrels: Any, results: _ByQuery, hf_split: str, hf_subset: str) -> Any:
            queries = sorted(scores)
            known = {metric: _values(metric, scores, qrels, results) for metric in metrics}
            values = {metric: [round(own[query], _DIGITS) for query in queries] for metric, own in known.items() if own}
            lowest = {query for own in values.values() for _, query in _lowest(own, queries)}
            shown = _shown(task.dataset[hf_subset][hf_split]["queries"], lowest)
            self.ranked.append(Ranked(hf_split, hf_subset, queries, values, shown))
            return told(scores, qrels, results, hf_split=hf_split, hf_subset=hf_subset)

        task.task_specific_scores = listen


def with_items(ranked: Sequence[Ranked], metric: str) -> Iterator[tuple[str, list[float]]]:
    """The value of each query of each subset; of several also those of all, whose mean is that over subsets, as in mteb."""
    known = [(each, np.array(each.values[metric])) for each in ranked if metric in each.values]
    splits = {each.split for each, _ in known}
    for each, values in known:
        yield (each.subset if len(splits) == 1 else f"{each.subset}, {each.split}"), values.tolist()
    if len(known) > 1:
        yield "all subsets", _balanced([values for _, values in known]).round(_DIGITS).tolist()


def worst(ranked: Sequence[Ranked], metric: str) -> list[dict[str, Any]]:
    """The queries of all subsets that score lowest, each with its subset, score and parts; none of a metric without values."""
    found = [
        {"subset": each.subset, "score": score, "query": each.shown[query]}
        for each in ranked
        for score, query in _lowest(each.values.get(metric, []), each.queries)
        if query in each.shown
    ]
    return sorted(found, key=itemgetter("score"))[:SHOWN]


def _lowest(scores: Sequence[float], queries: Sequence[str]) -> list[tuple[float, str]]:
    """The `SHOWN` lowest scores below 1 with their queries."""
    return sorted((score, query) for score, query in zip(scores, queries, strict=False) if score < 1)[:SHOWN]


def _shown(queries: Any, names: Collection[str]) -> dict[str, list[dict[str, str]]]:
    """The parts of some rows of a `datasets.Dataset`: texts as they begin, media that are files here by path, else by name."""
    places = [place for place, name in enumerate(queries["id"]) if name in names]
    return {
        row["id"]: [_part(kind, value, row["id"]) for kind in MODALITIES for value in values_of(row.get(kind))]
        for row in undecoded(queries.select(places))
    }


def _part(kind: str, value: Any, name: str) -> dict[str, str]:
    if kind == "text":
        return {"kind": kind, "value": str(value)[:_LONGEST]}
    path = value.get("path") if isinstance(value, dict) else value
    return {"kind": kind, "value": path if isinstance(path, str) and Path(path).is_file() else name}


def _balanced(subsets: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The values of all subsets, each scaled by what a query of its subset weighs in the mean over subsets."""
    mean_size = sum(map(len, subsets)) / len(subsets)
    return np.concatenate([values * (mean_size / len(values)) for values in subsets])


def _values(metric: str, scores: _ByQuery, qrels: Any, results: _ByQuery) -> dict[str, float]:
    """Of each query; none of a metric that is no mean over queries. In mteb the accuracy of a choice is R@1."""
    name, _, k = ("recall_at_1" if metric == "accuracy" else metric).rpartition("_at_")
    if name == "mrr":
        return dict(zip(results, mrr(qrels, results, [int(k)])[f"MRR@{k}"], strict=True))
    return {query: own[f"{_OF_A_QUERY[name]}_{k}"] for query, own in scores.items()} if name in _OF_A_QUERY else {}
