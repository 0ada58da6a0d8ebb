"""Hard negatives: what the model ranks high for a query and is no answer to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panvec.data.pairs import Pair, Side, content, read_pairs, write_pairs
from panvec.models.embedder import Embedder
from panvec.training.recipe import Mining

Array = NDArray[np.float32]


def mine(
    pairs: Sequence[Pair], encode: Callable[[list[Side], bool], Array], options: Mining, *, swap: bool = False
) -> list[tuple[Side, ...]]:
    """Hard negatives of each pair among the positives of the others, by `encode` (contents, whether they are queries).

    With `swap` the queries are the pairs' positives, and the negatives other pairs' queries. Pairs of one item are no
    negatives of each other.
    """
    queries = [pair.positives[0] if swap else pair.query for pair in pairs]
    answers = [[pair.query] if swap else list(pair.positives) for pair in pairs]
    pool = list(dict.fromkeys(side for sides in answers for side in sides))
    place = {side: i for i, side in enumerate(pool)}
    of_item: dict[str, set[int]] = {}
    for pair, sides in zip(pairs, answers, strict=True):
        of_item.setdefault(pair.item, set()).update(place[side] for side in sides)
    holders: dict[Side, set[int]] = {}
    for pair, query in zip(pairs, queries, strict=True):
        holders.setdefault(query, set()).update(of_item[pair.item])
    candidates = encode(pool, False)
    found = hard_negatives(
        encode(queries, True),
        candidates[[place[sides[0]] for sides in answers]],
        candidates,
        [holders[query] for query in queries],
        ranks=options.ranks,
        margin=options.margin,
        count=options.count,
    )
    return [tuple(pool[i] for i in rows) for rows in found]


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


def mine_folder(folder: Path, embedder: Embedder, options: Mining) -> tuple[int, int]:
    """Replace the negatives of a folder's training pairs by mined ones; the numbers of pairs and of negatives.

    Raises:
        InputError: the folder has no pairs.
    """
    pairs = list(read_pairs(folder, None))
    training = [pair for pair in pairs if pair.split == "train"]

    def encode(sides: list[Side], query: bool) -> Array:
        vectors: Array = embedder.embed([content(side) for side in sides], task="search query" if query else "document")
        return vectors

    mined = mine(training, encode, options)
    found = iter(mined)
    write_pairs(folder, [replace(pair, negatives=next(found)) if pair.split == "train" else pair for pair in pairs])
    return len(training), sum(map(len, mined))
