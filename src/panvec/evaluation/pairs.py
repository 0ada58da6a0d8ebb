"""Pairs of sentences, to be found or compared, and the places of equal things."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from panvec.evaluation.metrics import rank_correlation, rank_products
from panvec.evaluation.ranking import DECIMALS, Links, rank
from panvec.evaluation.rows import Pair
from panvec.evaluation.score import Score
from panvec.evaluation.scoring import ranked
from panvec.evaluation.vectors import Item, Vectors, Words

Value = TypeVar("Value", bound=Hashable)


class Translations:
    """Sentences to their translations, and back. One wording is one candidate, and right for all that it translates."""

    def __init__(self, data: str, rows: list[Pair]) -> None:
        self.data = data
        firsts, seconds = places_of(row.first for row in rows), places_of(row.second for row in rows)
        there: list[set[int]] = [set() for _ in firsts]
        back: list[set[int]] = [set() for _ in seconds]
        for row in rows:
            there[firsts[row.first]].add(seconds[row.second])
            back[seconds[row.second]].add(firsts[row.first])
        self.firsts: list[Item] = [(Words(text),) for text in firsts]
        self.seconds: list[Item] = [(Words(text),) for text in seconds]
        self.there, self.back = Links(there, len(seconds)), Links(back, len(firsts))

    @property
    def items(self) -> Iterable[Item]:
        """Sentences and translations."""
        return [*self.firsts, *self.seconds]

    def scores(self, vectors: Vectors, dim: int, seed: int) -> Iterator[Score]:
        """R@1 both ways."""
        firsts, seconds = vectors.of(self.firsts, dim), vectors.of(self.seconds, dim)
        yield from ranked(self.data, "sentence to translation", rank(firsts, seconds, self.there), dim, seed, "R@1")
        yield from ranked(self.data, "translation to sentence", rank(seconds, firsts, self.back), dim, seed, "R@1")


class Similarity:
    """Sentences in pairs: whether those that people find more alike have the larger cosine."""

    def __init__(self, data: str, rows: list[Pair]) -> None:
        self.data = data
        self.firsts: list[Item] = [(Words(row.first),) for row in rows]
        self.seconds: list[Item] = [(Words(row.second),) for row in rows]
        self.alike = np.array([row.score for row in rows], np.float64)

    @property
    def items(self) -> Iterable[Item]:
        """Both sentences of every pair."""
        return [*self.firsts, *self.seconds]

    def scores(self, vectors: Vectors, dim: int, seed: int) -> Iterator[Score]:
        """Spearman's correlation; a pair that cannot be embedded stands at the wrong end, beyond any cosine."""
        firsts, seconds = vectors.of(self.firsts, dim), vectors.of(self.seconds, dim)
        cosines = np.round(np.einsum("nd,nd->n", firsts.vectors, seconds.vectors), DECIMALS)
        there = firsts.there & seconds.there
        cosines[~there] = np.where(self.alike[~there] > np.median(self.alike), -2, 2)
        found = rank_correlation(cosines, self.alike, seed)
        items = tuple(round(float(product), 4) for product in rank_products(cosines, self.alike))
        failed, pairs = int((~there).sum()), len(self.alike)
        figures = (found.value, found.low, found.high)
        yield Score(self.data, "similarity of sentences", "Spearman", *figures, pairs, pairs, dim, failed, items=items)


def places_of(values: Iterable[Value]) -> dict[Value, int]:
    """The place of each value among the different ones, in order."""
    return {value: place for place, value in enumerate(dict.fromkeys(values))}
