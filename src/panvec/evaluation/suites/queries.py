"""The scores of each query, which mteb's results leave out: it tells them where a task ranks candidates, nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from mteb._evaluators.retrieval_metrics import mrr
from numpy.typing import NDArray

_OF_A_QUERY = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P", "hit_rate": "success"}
"""mteb's name of a metric, and pytrec_eval's of its value for one query."""
_DIGITS = 6
_ByQuery: TypeAlias = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Ranked:
    """The queries of a split and subset of a task, in order of their names, and by metric the value of each."""

    split: str
    subset: str
    queries: list[str]
    values: dict[str, list[float]]


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
            self.ranked.append(Ranked(hf_split, hf_subset, queries, values))
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
