"""The modality gap: how far the vectors of two modalities lie apart as wholes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from panvec.evaluation.vectors import Rows


@dataclass(frozen=True)
class Gap:
    """Of two sets of vectors.

    Attributes:
        distance: between the means of the two (Liang et al. 2022, arXiv 2203.02053): 0 for one cloud, at most 2.
        matched, unmatched: the mean cosine of pairs that belong together, and of all others.
    """

    data: str
    first: str
    second: str
    dim: int
    distance: float
    matched: float
    unmatched: float


def gap(data: str, first: str, second: str, left: Rows, right: Rows, own: list[list[int]]) -> Gap | None:
    """Of media `left` `[media, dim]` and texts `right` `[texts, dim]`; `own` has each medium's texts.

    Returns:
        None where a side has no vectors, or no pair that does not belong together.
    """
    pairs = np.array([(m, t) for m, texts in enumerate(own) for t in texts if left.there[m] and right.there[t]]).reshape(-1, 2)
    others = int(left.there.sum()) * int(right.there.sum()) - len(pairs)
    if not len(pairs) or not others:
        return None
    matched = np.einsum("nd,nd->n", left.vectors[pairs[:, 0]], right.vectors[pairs[:, 1]])
    all_pairs = float(left.vectors.sum(0) @ right.vectors.sum(0))
    means = [rows.vectors[rows.there].mean(0) for rows in (left, right)]
    distance, dim = float(np.linalg.norm(means[0] - means[1])), left.vectors.shape[1]
    unmatched = (all_pairs - float(matched.sum())) / others
    return Gap(data, first, second, dim, distance, float(matched.mean()), unmatched)
