"""The losses: contrastive with masked duplicates and hard negatives, spread-out, matching a teacher; over nested dims.

Every function takes unit vectors and gives a sum over its rows, so that ranks and parts of a batch can be added up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass
class Vectors:
    """The vectors of a batch, each row a pair.

    `query_ids` and `positive_ids` `[batch]` are equal exactly where the contents are. `negatives` `[negatives, dim]`
    belong to the rows `owners` `[negatives]`. `others` `[others, dim]` are further contents that may answer no query
    but those for which `answers` `[batch, others]` is true.
    """

    queries: Tensor
    positives: Tensor
    query_ids: Tensor
    positive_ids: Tensor
    negatives: Tensor | None = None
    owners: Tensor | None = None
    others: Tensor | None = None
    answers: Tensor | None = None

    def prefix(self, dim: int) -> Vectors:
        """The first `dim` dimensions of every vector, of length 1 again."""

        def cut(vectors: Tensor | None) -> Tensor | None:
            return None if vectors is None else F.normalize(vectors[:, :dim], dim=-1)

        queries, positives = F.normalize(self.queries[:, :dim], dim=-1), F.normalize(self.positives[:, :dim], dim=-1)
        return Vectors(
            queries,
            positives,
            self.query_ids,
            self.positive_ids,
            cut(self.negatives),
            self.owners,
            cut(self.others),
            self.answers,
        )


def contrastive(
    batch: Vectors, temperature: Tensor | float, *, rows: slice = slice(None), hardness: float = 0.0, symmetric: bool = False
) -> Tensor:
    """The contrastive loss of Gemini Embedding 2 (arXiv 2605.27295, section on the loss), summed over `rows`.

    For query i: -log of the positive's share among the positive, i's own hard negatives, and the positives of all other
    rows j, where j counts only if neither its query nor its positive equals i's. A row without a hard negative has no
    such term. `hardness` multiplies a hard negative's term by exp(hardness * its cosine, held constant), as
    EmbeddingGemma does with 5 (arXiv 2509.20354). `symmetric` is the mean with the same loss from positive to queries,
    without hard negatives. `others` join the negatives of the queries.
    """
    chosen = torch.arange(len(batch.queries), device=batch.queries.device)[rows]
    negatives = [*_own_negatives(batch, chosen, temperature, hardness), *_others(batch, chosen, temperature)]
    loss = _among(batch.queries[rows], batch.positives, chosen, _false_negatives(batch, chosen), temperature, negatives)
    if not symmetric:
        return loss
    back = _among(batch.positives[rows], batch.queries, chosen, _false_negatives(batch, chosen), temperature, [])
    return (loss + back) / 2


def _among(
    vectors: Tensor, candidates: Tensor, own: Tensor, false_negatives: Tensor, temperature: Tensor | float, more: list[Tensor]
) -> Tensor:
    logits = (vectors @ candidates.T / temperature).masked_fill(false_negatives, -torch.inf)
    right = logits.gather(1, own[:, None])[:, 0]
    return (torch.logsumexp(torch.cat([logits, *more], 1), 1) - right).sum()


def _false_negatives(batch: Vectors, rows: Tensor) -> Tensor:
    """`[rows, batch]`: true for another row with an equal query or an equal positive."""
    same = batch.query_ids[rows, None] == batch.query_ids
    same |= batch.positive_ids[rows, None] == batch.positive_ids
    same[torch.arange(len(rows), device=rows.device), rows] = False
    return same


def _own_negatives(batch: Vectors, rows: Tensor, temperature: Tensor | float, hardness: float) -> list[Tensor]:
    if batch.negatives is None or batch.owners is None or not len(batch.negatives):
        return []
    cosines = batch.queries[rows] @ batch.negatives.T
    logits = cosines / temperature + hardness * cosines.detach()
    return [logits.masked_fill(batch.owners != rows[:, None], -torch.inf)]


def _others(batch: Vectors, rows: Tensor, temperature: Tensor | float) -> list[Tensor]:
    if batch.others is None or batch.answers is None:
        return []
    return [(batch.queries[rows] @ batch.others.T / temperature).masked_fill(batch.answers[rows], -torch.inf)]


def spread_out(vectors: Tensor, ids: Tensor, rows: slice = slice(None)) -> Tensor:
    """Mean squared dot product of each of `rows` with all distinct others, summed (EmbeddingGemma; Zhang et al., ICCV 2017)."""
    distinct = ids[rows, None] != ids
    products = (vectors[rows] @ vectors.T).square() * distinct
    return (products.sum(1) / distinct.sum(1).clamp_min(1)).sum()


def matching(vectors: Tensor, teacher: Tensor) -> Tensor:
    """One minus the cosine to the teacher's vectors `[batch, dim]`, summed (embedding matching, EmbeddingGemma)."""
    return (1 - (vectors * F.normalize(teacher, dim=-1)).sum(-1)).sum()
