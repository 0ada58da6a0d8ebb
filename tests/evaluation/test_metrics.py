"""The metrics against plain loops, and scikit-learn, scipy and pytrec_eval where they have them."""

import math

import numpy as np
import pytest
import scipy.spatial
import scipy.stats
from sklearn import metrics as learn
from sklearn.preprocessing import normalize

from panvec.evaluation import metrics
from panvec.evaluation.gap import gap
from panvec.evaluation.metrics import (
    DEPTH,
    macro_mean,
    mean,
    ndcg,
    rank_correlation,
    rank_products,
    recall,
    relevant_ranks,
    share,
)
from panvec.evaluation.ranking import Links, rank
from panvec.evaluation.vectors import unit_rows


def drawn(seed: int, queries: int = 40, candidates: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties and some -inf, and relevance with rows of none and rows of more than `DEPTH`."""
    random = np.random.default_rng(seed)
    scores = random.integers(0, 9, (queries, candidates)) / 9
    scores[random.random(scores.shape) < 0.1] = -np.inf
    scores[0] = -np.inf
    relevant = random.random(scores.shape) < random.choice([0, 0.03, 0.2, 0.6], (queries, 1))
    relevant[1] = False
    return scores, relevant


def slow_ranks(scores: list[float], relevant: list[bool]) -> list[int]:
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], relevant[i]))
    return [place for place, i in enumerate(order, 1) if relevant[i] and scores[i] > -math.inf]


def slow_ndcg(ranks: list[int], count: int, k: int) -> float:
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(count, k) + 1))
    return sum(1 / math.log2(place + 1) for place in ranks if place <= k) / ideal if count else 0.0


@pytest.mark.parametrize("seed", range(20))
def test_ranks_recall_and_ndcg_equal_plain_loops(seed: int) -> None:
    scores, relevant = drawn(seed)
    ranks = relevant_ranks(scores, relevant)
    assert ranks.shape == (len(scores), DEPTH)
    slow = [slow_ranks(s, r) for s, r in zip(scores.tolist(), relevant.tolist(), strict=True)]
    for fast, loop in zip(ranks, slow, strict=True):
        np.testing.assert_array_equal(fast, (loop + [math.inf] * DEPTH)[:DEPTH])
    for k in (1, 5, 10):
        np.testing.assert_array_equal(recall(ranks, k), [float(any(place <= k for place in loop)) for loop in slow])
        expected = [slow_ndcg(loop, count, k) for loop, count in zip(slow, relevant.sum(1).tolist(), strict=True)]
        np.testing.assert_allclose(ndcg(ranks, relevant.sum(1), k), expected)


@pytest.mark.parametrize("seed", range(5))
def test_ndcg_recall_and_macro_accuracy_equal_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.permuted(np.arange(60 * 12).reshape(60, 12) / 720, axis=1)
    many = random.random(scores.shape) < 0.3
    many[:, 0] = True
    np.testing.assert_allclose(ndcg(relevant_ranks(scores, many), many.sum(1)).mean(), learn.ndcg_score(many, scores, k=10))
    gold = random.integers(0, 12, 60)
    ranks = relevant_ranks(scores, gold[:, None] == np.arange(12))
    for k in (1, 5, 10):
        assert recall(ranks, k).mean() == learn.top_k_accuracy_score(gold, scores, k=k, labels=range(12))
    expected = learn.balanced_accuracy_score(gold, scores.argmax(1))
    assert macro_mean(recall(ranks, 1), gold, seed).value == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_macro_accuracy_equals_scikit_learn_with_ties_and_absent_classes(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, 4, (60, 12)).astype(float)
    gold = random.choice([0, 2, 3, 7, 11], 60, p=[0.5, 0.2, 0.15, 0.1, 0.05])
    own = gold[:, None] == np.arange(12)
    first = scores == scores.max(1, keepdims=True)
    assert (first[own] & (first.sum(1) > 1)).any(), "some right classes share the first place"
    predicted = np.where(own, scores - 0.5, scores).argmax(1)
    recalls = learn.recall_score(gold, predicted, labels=np.unique(gold), average="macro")
    found = macro_mean(recall(relevant_ranks(scores, own), 1), gold, seed)
    assert found.value == pytest.approx(recalls)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert found.value == pytest.approx(learn.balanced_accuracy_score(gold, predicted))


@pytest.mark.parametrize("seed", range(5))
def test_the_modality_gap_equals_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    media, texts = random.normal(0.3, 1, (12, 6)).astype(np.float32), random.normal(-0.2, 1, (20, 6)).astype(np.float32)
    media[4] = texts[7] = 0
    own = [random.permutation(20)[: 1 + i % 3].tolist() for i in range(12)]
    found = gap("d", "image", "text", unit_rows(media), unit_rows(texts), own)
    assert found is not None
    pairs = np.delete(np.delete([[text in mine for text in range(20)] for mine in own], 4, 0), 7, 1)
    left, right = np.delete(media, 4, 0), np.delete(texts, 7, 0)
    cosines = 1 - scipy.spatial.distance.cdist(left, right, "cosine")
    assert found.matched == pytest.approx(cosines[pairs].mean(), abs=1e-6)
    assert found.unmatched == pytest.approx(cosines[~pairs].mean(), abs=1e-6)
    means = (normalize(side).mean(0) for side in (left, right))
    assert found.distance == pytest.approx(scipy.spatial.distance.euclidean(*means), abs=1e-6)
    alone = [list(range(20))] * 12
    assert gap("d", "image", "text", unit_rows(media), unit_rows(texts), alone) is None, "no pair is left to set beside"


def test_nothing_to_find_is_a_miss() -> None:
    none = np.zeros((3, 0))
    assert np.isinf(relevant_ranks(none, none.astype(bool))).all()
    assert relevant_ranks(np.zeros((0, 4)), np.zeros((0, 4), bool)).shape == (0, DEPTH)
    tied = np.ones((1, 4))
    assert relevant_ranks(tied, np.array([[True, False, False, True]]))[0, :2].tolist() == [3, 4]


def test_intervals_equal_a_plain_loop_over_the_same_samples() -> None:
    random = np.random.default_rng(3)
    hits, classes = random.integers(0, 2, 25).astype(float), random.integers(0, 6, 25)
    whole = np.maximum(hits, random.integers(0, 2, 25))
    samples = np.random.default_rng(7).integers(25, size=(metrics.RESAMPLES, 25)).tolist()

    def macro(sample: list[int]) -> float:
        groups = {c: [hits[i] for i in sample if classes[i] == c] for c in {classes[i] for i in sample}}
        return sum(sum(group) / len(group) for group in groups.values()) / len(groups)

    loops = {
        mean: (lambda s: sum(hits[i] for i in s) / len(s), (hits,)),
        macro_mean: (macro, (hits, classes)),
        share: (lambda s: sum(hits[i] for i in s) / sum(whole[i] for i in s), (hits, whole)),
    }
    for fast, (slow, arguments) in loops.items():
        found = fast(*arguments, 7)
        low, high = np.quantile([slow(sample) for sample in samples], [0.025, 0.975])
        assert found.value == pytest.approx(slow(range(25)))
        assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
        assert found == fast(*arguments, 7)


def test_rank_correlation_equals_scipy_with_ties() -> None:
    random = np.random.default_rng(11)
    scores = random.integers(0, 6, 40).astype(float)
    cosines = np.round(scores / 9 + random.normal(0, 0.3, 40), 1)
    found = rank_correlation(cosines, scores, 7)
    assert len(set(cosines)) < 25
    assert found.value == pytest.approx(scipy.stats.spearmanr(cosines, scores).statistic)
    assert rank_products(cosines, scores).mean() == pytest.approx(found.value)
    ranks = [scipy.stats.rankdata(values) for values in (cosines, scores)]
    samples = np.random.default_rng(7).integers(40, size=(metrics.RESAMPLES, 40))
    drawn = [scipy.stats.pearsonr(ranks[0][sample], ranks[1][sample]).statistic for sample in samples]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    same = rank_correlation(np.ones(40), scores, 7)
    assert (same.value, same.low, same.high) == (0, 0, 0), "a model that gives everything one vector scores 0"


def test_an_interval_is_as_wide_as_theory_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_DRAWN_AT_ONCE", 7_000)
    hits = (np.arange(2_000) < 600).astype(float)
    found = mean(hits, 0)
    half = 1.96 * math.sqrt(0.3 * 0.7 / 2_000)
    assert found.low == pytest.approx(0.3 - half, abs=0.003)
    assert found.high == pytest.approx(0.3 + half, abs=0.003)


def test_ranking_in_chunks_with_missing_vectors_and_left_out_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(20, 8)).astype(np.float32)
    vectors[[3, 15]] = 0
    queries, candidates = unit_rows(vectors[:12]), unit_rows(vectors[12:])
    answers = Links([random.permutation(8)[: i % 3] for i in range(12)], 8)
    unused = Links([[i % 8] for i in range(12)], 8)
    whole = rank(queries, candidates, answers, unused)
    monkeypatch.setattr("panvec.evaluation.ranking._SCORES_AT_ONCE", 17)
    cut = rank(queries, candidates, answers, unused)
    np.testing.assert_array_equal(whole.ranks, cut.ranks)
    np.testing.assert_array_equal(whole.counts, [i % 3 for i in range(12)])
    assert whole.candidates == cut.candidates == 7
    assert np.isinf(whole.ranks[3]).all()
    scores = queries.vectors @ candidates.vectors.T
    for i in range(12):
        left = [c for c in range(8) if c not in (i % 8, 3)]
        expected = slow_ranks([float(scores[i, c]) for c in left], [bool(answers(slice(i, i + 1))[0, c]) for c in left])
        found = whole.ranks[i][np.isfinite(whole.ranks[i])].tolist()
        assert found == ([] if i == 3 else expected)


@pytest.mark.parametrize("seed", range(5))
def test_recall_and_ndcg_equal_pytrec_eval_with_ties_and_empty_rows(seed: int) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval", reason="needs pytrec_eval-terrier")
    random = np.random.default_rng(seed)
    scores = random.integers(0, 6, (30, 25)).astype(np.float64)
    relevant = random.random((30, 25)) < 0.12
    relevant[:3] = False
    ranks, counts = relevant_ranks(scores, relevant), relevant.sum(1)
    # trec_eval breaks ties by name, downwards: names that put what is not relevant first break them against the model too
    run = {
        f"q{q}": {f"{'a' if relevant[q, d] else 'b'}{d}": float(scores[q, d]) for d in range(25)} for q in range(30)
    }  # fmt: skip
    truth = {f"q{q}": {f"a{d}": 1 for d in np.flatnonzero(relevant[q])} for q in range(30) if counts[q]}
    found = pytrec_eval.RelevanceEvaluator(truth, {"ndcg_cut.10", "success.1,5,10"}).evaluate(run)
    for q in range(30):
        theirs = found.get(f"q{q}", {"ndcg_cut_10": 0.0, "success_1": 0.0, "success_5": 0.0, "success_10": 0.0})
        assert ndcg(ranks, counts)[q] == pytest.approx(theirs["ndcg_cut_10"])
        for k in (1, 5, 10):
            assert recall(ranks, k)[q] == theirs[f"success_{k}"]
