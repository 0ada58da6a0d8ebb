"""95 % intervals of mteb's scores, from those of each query."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from panvec.evaluation.metrics import macro_mean
from panvec.evaluation.suites.queries import Ranked

Interval: TypeAlias = tuple[float, float]


def intervals_of(ranked: Sequence[Ranked], seed: int) -> dict[str, Interval]:
    """The bootstrap interval of each metric: of the mean over subsets of the mean over queries, as mteb takes it."""
    subsets = np.repeat(np.arange(len(ranked)), [len(each.queries) for each in ranked])
    found = {}
    for metric in ranked[0].values if ranked else ():
        estimate = macro_mean(np.concatenate([each.values[metric] for each in ranked]), subsets, seed)
        found[metric] = round(estimate.low, 5), round(estimate.high, 5)
    return found


def of_mean(values: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """The interval of the mean of scores of different tasks, whose queries have nothing to do with each other."""
    value, count = sum(values) / len(values), len(values)
    below = math.hypot(*(v - low for v, (low, _) in zip(values, intervals, strict=True))) / count
    above = math.hypot(*(high - v for v, (_, high) in zip(values, intervals, strict=True))) / count
    return value - below, value + above
