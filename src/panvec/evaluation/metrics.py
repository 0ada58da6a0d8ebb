"""Ranks, recall, nDCG, and bootstrap intervals, on plain arrays.

Ties are broken against the model: a candidate that is not relevant stands before a relevant one of the same score, so a model
that gives everything one vector scores nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DEPTH = 10
"""Relevant candidates of a query whose ranks are kept: as many as the deepest metric looks at."""
RESAMPLES = 1_000
"""Bootstrap samples of an interval."""
_DRAWN_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Estimate:
    """A value over queries, and its 95 % bootstrap interval (percentiles, queries drawn with replacement)."""

    value: float
    low: float
    high: float


def relevant_ranks(scores: Array, relevant: Array) -> Array:
    """The ranks, from 1, of the best `DEPTH` relevant candidates of each query.

    Args:
        scores: `[queries, candidates]`, higher is nearer; -inf is a candidate that cannot be found. No NaN.
        relevant: `[queries, candidates]` bool.

    Returns:
        `[queries, DEPTH]` float, rising along a row; inf where a query has no further relevant candidate that can be found.
    """
    queries, candidates = scores.shape
    ranks = np.full((queries, DEPTH), np.inf)
    found = min(DEPTH, int(relevant.sum(1).max(initial=0)))
    if not found:
        return ranks
    best = np.partition(np.where(relevant, scores, -np.inf), candidates - found, axis=1)[:, candidates - found :]
    others = np.where(relevant, -np.inf, scores)
    for place, score in enumerate(np.sort(best, axis=1)[:, ::-1].T):
        ahead = (others >= score[:, None]).sum(1)
        ranks[:, place] = np.where(np.isneginf(score), np.inf, 1 + place + ahead)
    return ranks


def recall(ranks: Array, k: int) -> Array:
    """Of `relevant_ranks`, 1.0 for each query that has a relevant candidate among its first `k`, else 0.0: `[queries]`."""
    return (ranks[:, 0] <= k).astype(np.float64)


def ndcg(ranks: Array, counts: Array, k: int = DEPTH) -> Array:
    """nDCG@k of each query, `[queries]`, k at most `DEPTH`.

    Args:
        ranks: of `relevant_ranks`.
        counts: how many relevant candidates each query has, `[queries]`, those that cannot be found too. Where 0, it is 0.
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], discounts.cumsum()])[np.minimum(counts, k)]
    gains = np.where(ranks <= k, 1 / np.log2(ranks + 1), 0).sum(1)
    return np.asarray(np.divide(gains, ideal, out=np.zeros(len(ranks)), where=ideal > 0))


def mean(values: Array, seed: int) -> Estimate:
    """The mean of `[queries]`."""
    return _estimate(values[:, None], np.ones((len(values), 1)), seed)


def macro_mean(values: Array, classes: Array, seed: int) -> Estimate:
    """The mean over classes of the mean of `[queries]` in each; `classes` `[queries]` is the class of each query."""
    members = (classes[:, None] == np.unique(classes)).astype(np.float64)
    return _estimate(values[:, None] * members, members, seed)


def share(part: Array, whole: Array, seed: int) -> Estimate:
    """The sum of `part` `[queries]` as a share of the sum of `whole` `[queries]`, which must not be 0."""
    return _estimate(part[:, None], whole[:, None], seed)


def rank_products(first: Array, second: Array) -> Array:
    """The products of the standardised ranks of two measures of the same `[pairs]`; their mean is Spearman's correlation.

    Ties share their mean rank. Where one measure is the same for all pairs, every product is 0.
    """
    return np.asarray(_standardised(first) * _standardised(second))


def rank_correlation(first: Array, second: Array, seed: int) -> Estimate:
    """Spearman's of two measures of the same `[pairs]`. A bootstrap sample correlates the ranks that its pairs have in all."""
    a, b = _standardised(first), _standardised(second)
    moments = np.stack([a, b, a * a, b * b, a * b], axis=1)
    drawn = [_correlations(counts @ moments / len(a)) for counts in _samples(len(a), seed)]
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return Estimate(float((a * b).mean()), float(low), float(high))


def _standardised(values: Array) -> Array:
    """The ranks of `[pairs]` with mean 0 and variance 1; zeros where all are one."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[place]
    return np.asarray((ranks - ranks.mean()) / (ranks.std() or 1))


def _correlations(means: Array) -> Array:
    """Pearson's from the means of a, b, aa, bb and ab, `[samples, 5]`; 0 where a side does not vary."""
    a, b, aa, bb, ab = means.T
    spread = np.sqrt(np.maximum((aa - a * a) * (bb - b * b), 0))
    return np.asarray(np.divide(ab - a * b, spread, out=np.zeros(len(a)), where=spread > 1e-9))


def _estimate(tops: Array, bottoms: Array, seed: int) -> Estimate:
    """The mean over groups of sum(tops) / sum(bottoms), both `[queries, groups]`. Groups that a sample misses are left out."""
    value = _ratios(tops.sum(0)[None], bottoms.sum(0)[None])[0]
    drawn = [_ratios(counts @ tops, counts @ bottoms) for counts in _samples(len(tops), seed)]
    low, high = np.nanquantile(np.concatenate(drawn), [0.025, 0.975])
    return Estimate(float(value), float(low), float(high))


def _ratios(tops: Array, bottoms: Array) -> Array:
    """`[samples, groups]` to `[samples]`; NaN for a sample without any group."""
    there = bottoms > 0
    ratios = np.divide(tops, bottoms, out=np.zeros_like(tops), where=there).sum(1)
    groups = there.sum(1)
    return np.asarray(np.divide(ratios, groups, out=np.full(len(tops), np.nan), where=groups > 0))


def _samples(queries: int, seed: int) -> Iterator[Array]:
    """How often each query is in each bootstrap sample, `[some samples, queries]`, `RESAMPLES` in all."""
    together = max(1, _DRAWN_AT_ONCE // queries)
    if together >= RESAMPLES:
        yield _all_samples(queries, seed)
        return
    random = np.random.default_rng(seed)
    for start in range(0, RESAMPLES, together):
        yield _draw(random, min(together, RESAMPLES - start), queries)


@lru_cache(maxsize=8)
def _all_samples(queries: int, seed: int) -> Array:
    """Drawing takes longer than the scores do, and every metric, dim and precision has the same draws."""
    return _draw(np.random.default_rng(seed), RESAMPLES, queries)


def _draw(random: np.random.Generator, samples: int, queries: int) -> Array:
    drawn = random.integers(queries, size=(samples, queries)) + np.arange(samples)[:, None] * queries
    return np.bincount(drawn.ravel(), minlength=samples * queries).reshape(samples, queries).astype(np.float64)
