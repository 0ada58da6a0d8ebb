"""Hard negatives: what the model ranks high for a query and is no answer to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def hard_negatives(
    queries: Array,
    positives: Array,
    candidates: Array,
    answers: list[set[int]],
    *,
    ranks: tuple[int, int],
    margin: float,
    count: int,
    together: int = 512,
) -> list[list[int]]:
    """Rows of `candidates` `[candidates, dim]` that are hard negatives of each query `[queries, dim]`, hardest first.

    Of a query's candidates by similarity, those at `ranks` (first and last, from 0) are taken, less its `answers` and
    those more similar than `1 - margin` times its positive `[queries, dim]`: they are likely unlabelled answers
    (positive-aware mining, NV-Retriever, arXiv 2407.15831). At most `count` of each.
    """
    found: list[list[int]] = []
    for start in range(0, len(queries), together):
        rows = slice(start, start + together)
        scores = queries[rows] @ candidates.T
        limits = (queries[rows] * positives[rows]).sum(1) * (1 - margin)
        deep = min(ranks[1] + max((len(a) for a in answers[rows]), default=0), scores.shape[1])
        best = np.argpartition(-scores, deep - 1, axis=1)[:, :deep]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable"), 1)
        for own, order, row, limit in zip(answers[rows], best, scores, limits, strict=True):
            wrong = [int(c) for c in order if int(c) not in own][ranks[0] : ranks[1]]
            found.append([c for c in wrong if row[c] <= limit][:count])
    return found
