import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from panvec.training.mining import hard_negatives


def plain(queries, positives, candidates, answers, ranks, margin, count) -> list[list[int]]:
    found = []
    for query, positive, own in zip(queries, positives, answers, strict=True):
        order = sorted(range(len(candidates)), key=lambda c: -(query @ candidates[c]))
        wrong = [c for c in order if c not in own][ranks[0] : ranks[1]]
        found.append([c for c in wrong if query @ candidates[c] <= query @ positive * (1 - margin)][:count])
    return found


@given(st.integers(1, 20), st.integers(1, 40), st.integers(0, 4), st.integers(1, 9), st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_mined_by_rank_and_margin(queries: int, candidates: int, first: int, more: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    q, p, c = (random.normal(size=(n, 8)).astype(np.float32) for n in (queries, queries, candidates))
    answers = [set(random.integers(0, candidates, 2).tolist()) for _ in range(queries)]
    options = {"ranks": (first, first + more), "margin": 0.1, "count": 3}
    found = hard_negatives(q, p, c, answers, **options, together=7)
    assert found == plain(q, p, c, answers, **options)
