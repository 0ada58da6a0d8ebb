"""The worst misses of a task, with what a page needs to show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from panvec.evaluation.ranking import Mask, Ranking
from panvec.evaluation.vectors import File, Frames, Item, Words

SHOWN = 5


@dataclass(frozen=True)
class Shown:
    """A part as a page shows it: its kind, and its text or the path of its file."""

    kind: str
    value: str


@dataclass(frozen=True)
class Failure:
    """A query whose right answer stands low, that answer, and what stands first instead."""

    data: str
    task: str
    rank: int
    query: tuple[Shown, ...]
    expected: tuple[Shown, ...]
    found: tuple[Shown, ...]


def worst(
    data: str, task: str, ranking: Ranking, queries: Sequence[Item], candidates: Sequence[Item], relevant: Mask
) -> list[Failure]:
    """The `SHOWN` queries whose best answer stands lowest, of those that stand not first; none that has no vector."""
    ranks = ranking.ranks[:, 0]
    order = [int(i) for i in np.argsort(-np.where(np.isinf(ranks), 0, ranks), kind="stable")[:SHOWN]]
    return [
        Failure(
            data, task, int(ranks[i]), _shown(queries[i]), _shown(candidates[_answer(relevant, i)]), _shown(candidates[found])
        )
        for i in order
        if 1 < ranks[i] < np.inf
        for found in [int(ranking.first[i])]
    ]


def _answer(relevant: Mask, query: int) -> int:
    return int(relevant(slice(query, query + 1))[0].argmax())


def _shown(item: Item) -> tuple[Shown, ...]:
    return tuple(_part(part) for part in item)


def _part(part: Words | File | Frames) -> Shown:
    if isinstance(part, Words):
        return Shown("text", part.text)
    return Shown("image", str(part.paths[0])) if isinstance(part, Frames) else Shown(part.kind, str(part.path))
