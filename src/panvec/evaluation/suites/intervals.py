"""95 % intervals of mteb's scores, from those of each query: mteb tells them where a task ranks candidates, nowhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from panvec.evaluation.metrics import macro_mean

Interval: TypeAlias = tuple[float, float]

_OF_A_QUERY = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P", "hit_rate": "success"}
"""mteb's name of a metric, and pytrec_eval's of its value for one query."""


class QueryScores:
    """Listens to a task while it runs.

    Attributes:
        subsets: for each subset that was ranked, the scores of its queries by pytrec_eval's names.
    """

    def __init__(self, task: Any) -> None:
        self.subsets: list[Sequence[Mapping[str, float]]] = []
        told = getattr(task, "task_specific_scores", None)
        if told is None:
            return

        def listen(scores: Mapping[str, Mapping[str, float]], *rest: Any, **more: Any) -> Any:
            self.subsets.append(list(scores.values()))
            return told(scores, *rest, **more)

        task.task_specific_scores = listen

    def intervals(self, metrics: Sequence[str], seed: int) -> dict[str, Interval]:
        """The bootstrap interval of each metric, such as `ndcg_at_10`, that has a value for each query."""
        found: dict[str, Interval] = {}
        for metric in metrics if self.subsets else ():
            name, _, k = metric.rpartition("_at_")
            if name in _OF_A_QUERY:
                found[metric] = self._interval(f"{_OF_A_QUERY[name]}_{k}", seed)
        return found

    def _interval(self, key: str, seed: int) -> Interval:
        """Of the mean over subsets of the mean over queries, as mteb takes it."""
        values = np.array([query[key] for subset in self.subsets for query in subset])
        subsets = np.repeat(np.arange(len(self.subsets)), [len(subset) for subset in self.subsets])
        estimate = macro_mean(values, subsets, seed)
        return round(estimate.low, 5), round(estimate.high, 5)


def of_mean(values: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """The interval of the mean of scores of different tasks, whose queries have nothing to do with each other."""
    value, count = sum(values) / len(values), len(values)
    below = math.hypot(*(v - low for v, (low, _) in zip(values, intervals, strict=True))) / count
    above = math.hypot(*(high - v for v, (_, high) in zip(values, intervals, strict=True))) / count
    return value - below, value + above
