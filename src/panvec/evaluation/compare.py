"""Two results on the same items: is one better than the other, or is it chance?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from panvec.errors import InputError
from panvec.evaluation.metrics import Array, mean

FLIPS = 10_000
"""Random sign flips of a p-value."""
_CHOICES = ("where", "limit", "seed", "dev_share")
"""Settings that say which rows are scored."""
Size: TypeAlias = tuple[int, str]
"""Dim, precision."""
Key: TypeAlias = tuple[str, str, str, int, str]
"""Data, task, metric, and the size: of a suite a task is the data, and one of its subsets the task."""


@dataclass(frozen=True)
class Difference:
    """A score of the second result less that of the first, over the same queries.

    Attributes:
        low, high: the paired 95 % bootstrap interval of `difference`.
        p: of so large a mean difference by chance (a paired randomisation test, both sides).
    """

    data: str
    task: str
    metric: str
    dim: int
    precision: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    queries: int

    @property
    def fell(self) -> bool:
        """Whether the second is worse by more than chance: the whole interval lies below 0."""
        return self.high < 0


def paired(first: Array, second: Array, seed: int = 0) -> tuple[float, float, float, float]:
    """The mean of `second` - `first` (`[queries]` each), its interval, and the p-value."""
    differences = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    estimate = mean(differences, seed)
    return estimate.value, estimate.low, estimate.high, _p(differences, seed)


def compare(first: Mapping[str, Any], second: Mapping[str, Any], seed: int = 0) -> list[Difference]:
    """Every score that two results (as `as_dict(items=True)` of a `Report` or a `SuiteReport` writes them) share.

    A suite is run at one size of vectors: two are compared at the size of each, and the first's is told.

    Raises:
        InputError: they are of other data, or share no score with its items.
    """
    _check_data(first, second)
    size = _size(first)
    before, after = _scores(first, size), _scores(second, size)
    shared = [key for key in before if key in after]
    if not shared:
        raise InputError("the two results share no score with its items: make both with --out, on the same data and dims")
    found = []
    for key in shared:
        a, b = before[key], after[key]
        if len(a) != len(b):
            raise InputError(f"{_name(key)}: {len(a)} and {len(b)} queries: use the same limit and seed for both")
        found.append(Difference(*key, float(a.mean()), float(b.mean()), *paired(a, b, seed), len(a)))
    return found


def left_out(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The names of the scores of the first result, of those with items, that the second lacks."""
    size = _size(first)
    there = _scores(second, size)
    return [_name(key) for key in _scores(first, size) if key not in there]


def _name(key: Key) -> str:
    data, task, metric, dim, precision = key
    return f"{data}: {task} {metric}, dim {dim} {precision}"


def _check_data(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    sums = [{data["name"]: data["sha256"] for data in result.get("data", ())} for result in (first, second)]
    changed = [name for name, digest in sums[0].items() if sums[1].get(name, digest) != digest]
    if changed:
        raise InputError(f"the rows of {changed[0]} are not the same in both results: score both on the same data")
    for name in _CHOICES:
        if name in first and name in second and first[name] != second[name]:
            raise InputError(f"{name} is {first[name]!r} in one result and {second[name]!r} in the other: use one for both")


def _size(result: Mapping[str, Any]) -> Size | None:
    """The one of a suite; None of a result that has several."""
    return (result["settings"]["dim"], result["settings"]["precision"]) if result.get("kind") == "suite" else None


def _scores(result: Mapping[str, Any], size: Size | None) -> dict[Key, Array]:
    """The scores that have items; under `size` whatever their own is, where it is given."""
    scores = [score for score in result.get("scores", ()) if score.get("items")]
    sizes = [size or (score["dim"], score.get("precision", "float32")) for score in scores]
    return {
        (score["data"], score["task"], score["metric"], *own): np.array(score["items"])
        for score, own in zip(scores, sizes, strict=True)
    }


def _p(differences: Array, seed: int) -> float:
    """The share of random signs that give a mean as far from 0, the one that was seen counted too."""
    moved = differences[differences != 0]
    if not len(moved):
        return 1.0
    random, seen, extreme = np.random.default_rng(seed), abs(moved.sum()) - 1e-12, 0
    at_once = max(1, 4_000_000 // len(moved))
    for start in range(0, FLIPS, at_once):
        signs = random.integers(0, 2, (min(at_once, FLIPS - start), len(moved)), np.int8) * 2 - 1
        extreme += int((np.abs(signs @ moved) >= seen).sum())
    return (extreme + 1) / (FLIPS + 1)
