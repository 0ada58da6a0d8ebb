"""Each loss against the formula as it is written, term by term, in values and gradients; and against sentence-transformers."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from panvec.training.losses import Vectors, contrastive, matching, spread_out
from panvec.training.recipe import Loss
from panvec.training.step import Objective, _split

TEMPERATURE = 0.05


def units(rows: int, dim: int, seed: int) -> Tensor:
    vectors = torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(vectors, dim=-1).requires_grad_()


def written(batch: Vectors, hardness: float, rows: list[int]) -> Tensor:
    """L of Gemini Embedding 2 for each query, with loops."""
    losses = []
    for i in rows:
        q, p = batch.queries[i], batch.positives[i]
        own = torch.exp(q @ p / TEMPERATURE)
        bottom = own
        for n, owner in zip(batch.negatives, batch.owners.tolist(), strict=True):
            if owner == i:
                bottom = bottom + math.exp(hardness * float((q @ n).detach())) * torch.exp(q @ n / TEMPERATURE)
        for j in range(len(batch.queries)):
            counts = batch.query_ids[j] != batch.query_ids[i] and batch.positive_ids[j] != batch.positive_ids[i]
            if j != i and counts:
                bottom = bottom + torch.exp(q @ batch.positives[j] / TEMPERATURE)
        for k, other in enumerate(batch.others):
            if not batch.answers[i, k]:
                bottom = bottom + torch.exp(q @ other / TEMPERATURE)
        losses.append(-torch.log(own / bottom))
    return torch.stack(losses).sum()


def example(rows: int, negatives: int, others: int, seed: int) -> Vectors:
    generator = torch.Generator().manual_seed(seed)
    return Vectors(
        units(rows, 6, seed),
        units(rows, 6, seed + 1),
        torch.randint(0, rows, (rows,), generator=generator),
        torch.randint(0, rows, (rows,), generator=generator),
        units(negatives, 6, seed + 2),
        torch.randint(0, rows, (negatives,), generator=generator),
        units(others, 6, seed + 3),
        torch.rand(rows, others, generator=generator) < 0.3,
    )


@given(st.integers(1, 7), st.integers(0, 5), st.integers(0, 4), st.sampled_from([0.0, 5.0]), st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_contrastive_is_what_is_written(rows: int, negatives: int, others: int, hardness: float, seed: int) -> None:
    batch = example(rows, negatives, others, seed)
    start = seed % rows
    mine = contrastive(batch, TEMPERATURE, rows=slice(start, rows), hardness=hardness)
    reference = written(batch, hardness, list(range(start, rows)))
    torch.testing.assert_close(mine, reference)
    leaves = [t for t in (batch.queries, batch.positives, batch.negatives, batch.others) if len(t)]
    ours = torch.autograd.grad(mine, leaves, allow_unused=True, materialize_grads=True)
    theirs = torch.autograd.grad(reference, leaves, allow_unused=True, materialize_grads=True)
    for left, right in zip(ours, theirs, strict=True):
        torch.testing.assert_close(left, right)


def test_duplicates_are_not_negatives_and_a_lone_pair_costs_nothing() -> None:
    batch = example(3, 0, 0, 0)
    batch.query_ids, batch.positive_ids = torch.tensor([1, 1, 1]), torch.tensor([1, 2, 3])
    assert contrastive(batch, TEMPERATURE).item() == 0
    batch.query_ids = torch.tensor([1, 2, 3])
    assert contrastive(batch, TEMPERATURE).item() > 0


@pytest.mark.parametrize("symmetric", [False, True])
def test_contrastive_equals_sentence_transformers(symmetric: bool) -> None:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    queries, positives = units(5, 6, 1), units(5, 6, 2)
    ids = torch.arange(5)
    directions = ("query_to_doc", "doc_to_query") if symmetric else ("query_to_doc",)
    theirs = MultipleNegativesRankingLoss(
        torch.nn.Identity(), scale=1 / TEMPERATURE, directions=directions, partition_mode="per_direction"
    ).compute_loss_from_embeddings([queries, positives], torch.empty(0))
    ours = contrastive(Vectors(queries, positives, ids, ids), TEMPERATURE, symmetric=symmetric) / 5
    torch.testing.assert_close(ours, theirs)


def test_hardness_equals_sentence_transformers() -> None:
    """With one pair in the batch, every hard negative there is its own."""
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    query, positive, negative = units(1, 6, 1), units(1, 6, 2), units(1, 6, 3)
    theirs = MultipleNegativesRankingLoss(
        torch.nn.Identity(), scale=1 / TEMPERATURE, hardness_mode="hard_negatives", hardness_strength=5.0
    ).compute_loss_from_embeddings([query, positive, negative], torch.empty(0))
    batch = Vectors(query, positive, torch.tensor([0]), torch.tensor([0]), negative, torch.tensor([0]))
    torch.testing.assert_close(contrastive(batch, TEMPERATURE, hardness=5.0), theirs)


def test_spread_out_is_the_mean_squared_product_of_distinct_vectors() -> None:
    vectors, ids = units(6, 4, 3), torch.tensor([0, 0, 1, 2, 3, 4])
    reference = []
    for i in range(6):
        products = [(vectors[i] @ vectors[j]) ** 2 for j in range(6) if ids[i] != ids[j]]
        reference.append(sum(products) / len(products))
    torch.testing.assert_close(spread_out(vectors, ids), torch.stack(reference).sum())
    assert spread_out(vectors, torch.zeros(6, dtype=torch.int64)).item() == 0


def test_matching_is_the_distance_to_the_teacher() -> None:
    vectors, teacher = units(4, 5, 1), units(4, 5, 2) * 3
    reference = sum(1 - F.cosine_similarity(v, t, dim=0) for v, t in zip(vectors, teacher, strict=True))
    torch.testing.assert_close(matching(vectors, teacher), reference)


def test_prefixes_are_normalised_again_and_summed() -> None:
    from test_step import toy_batch

    batch = toy_batch(rows=4)
    vectors = units(8, 6, 5)
    objective = Objective({"t": Loss(temperature=TEMPERATURE, symmetric=False)}, (6, 3))
    whole = _split(vectors, batch)
    nested = Vectors(
        F.normalize(whole.queries[:, :3], dim=-1),
        F.normalize(whole.positives[:, :3], dim=-1),
        whole.query_ids,
        whole.positive_ids,
    )
    reference = (contrastive(whole, TEMPERATURE) + contrastive(nested, TEMPERATURE)) / 4
    torch.testing.assert_close(objective("t", vectors, batch), reference)


def test_a_learned_temperature_gets_a_gradient() -> None:
    from test_step import toy_batch

    objective = Objective({"t": Loss(temperature=0.07, learn_temperature=True)}, (6,)).double()
    assert objective.temperature("t").item() == pytest.approx(0.07)
    objective("t", units(8, 6, 5), toy_batch(rows=4)).backward()
    assert objective.log_temperatures["t"].grad.abs() > 0
