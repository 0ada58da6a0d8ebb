"""Lines of a report from a ranking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from panvec.evaluation.metrics import Estimate, mean
from panvec.evaluation.ranking import Ranking
from panvec.evaluation.score import Score


def ranked(data: str, task: str, ranking: Ranking, dim: int, seed: int, *metrics: str) -> Iterator[Score]:
    """Metrics of a ranking, each the mean over queries with its interval."""
    for metric in metrics:
        values = ranking.values(metric)
        yield score_of(data, task, metric, mean(values, seed), ranking, dim, values)


def score_of(
    data: str, task: str, metric: str, estimate: Estimate, ranking: Ranking, dim: int, values: Iterable[float] = ()
) -> Score:
    """An estimate as a line; `values` of each query, where the estimate is their mean."""
    figures = (estimate.value, estimate.low, estimate.high)
    items = tuple(round(float(value), 4) for value in values)
    return Score(data, task, metric, *figures, len(ranking.counts), ranking.candidates, dim, ranking.failed, items=items)
