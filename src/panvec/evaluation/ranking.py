"""Queries against candidates by cosine, a chunk of queries at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from panvec.evaluation.metrics import DEPTH, Array, ndcg, recall, relevant_ranks
from panvec.evaluation.vectors import Rows

DECIMALS = 6
"""Cosines that agree to so many decimals are a tie: float32 holds no more."""
_SCORES_AT_ONCE = 8_000_000

Mask: TypeAlias = Callable[[slice], NDArray[np.bool_]]
"""Of a slice of the queries, a value for each candidate: `[queries of the slice, candidates]`."""


class Links:
    """Of each query, the indices of some candidates, as a `Mask`."""

    def __init__(self, of_queries: Sequence[Collection[int]], candidates: int) -> None:
        self.candidates = candidates
        self.counts = np.array([len(indices) for indices in of_queries], np.int64)
        self._columns = np.array([index for indices in of_queries for index in indices], np.int64)
        self._ends = self.counts.cumsum()

    def __call__(self, part: slice) -> NDArray[np.bool_]:
        """`[queries of the slice, candidates]`."""
        counts, ends = self.counts[part], self._ends[part]
        mask = np.zeros((len(counts), self.candidates), np.bool_)
        if len(counts):
            mask[np.arange(len(counts)).repeat(counts), self._columns[ends[0] - counts[0] : ends[-1]]] = True
        return mask


@dataclass(frozen=True)
class Ranking:
    """Where the relevant candidates of each query stand.

    Attributes:
        ranks: of `metrics.relevant_ranks`, `[queries, DEPTH]`.
        counts: relevant candidates of each query, `[queries]`.
        candidates: the most that a query was ranked against.
        first: the candidate that stands first for each query, `[queries]`.
    """

    ranks: Array
    counts: Array
    candidates: int
    first: Array

    @property
    def failed(self) -> int:
        """Queries without a vector, or with no relevant candidate that has one."""
        return int(np.isinf(self.ranks[:, 0]).sum())

    def values(self, metric: str) -> NDArray[Any]:
        """`R@k` or `nDCG@k` of each query, `[queries]`."""
        name, k = metric.split("@")
        return recall(self.ranks, int(k)) if name == "R" else ndcg(self.ranks, self.counts, int(k))


def rank(queries: Rows, candidates: Rows, relevant: Mask, left_out: Mask | None = None) -> Ranking:
    """Rank the candidates of every query, but those that are `left_out`; what has no vector is never found."""
    ranks, counts, first, most = [np.empty((0, DEPTH))], [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    together = max(1, _SCORES_AT_ONCE // max(1, len(candidates)))
    for start in range(0, len(queries), together):
        part = slice(start, start + together)
        scores = np.round(queries.vectors[part] @ candidates.vectors.T, DECIMALS)
        scores[~queries.there[part]] = -np.inf
        scores[:, ~candidates.there] = -np.inf
        answers = relevant(part)
        unused = np.zeros_like(answers) if left_out is None else left_out(part)
        scores[unused] = -np.inf
        ranks.append(relevant_ranks(scores, answers))
        counts.append(answers.sum(1))
        first.append(scores.argmax(1))
        most = max(most, int((~unused).sum(1).max()))
    return Ranking(np.concatenate(ranks), np.concatenate(counts), most, np.concatenate(first))
