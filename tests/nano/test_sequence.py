import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from panvec.models.embedder import Span
from panvec.models.nano.sequence import Frame, Positions, Sequence, windows

DIM = 4


def words(count: int) -> Positions:
    return Positions.words(list(range(10, 10 + count)), DIM)


@given(length=st.integers(0, 5000), prompt=st.integers(0, 20), overlap=st.integers(0, 64))
def test_every_position_counts_once_over_all_windows(length: int, prompt: int, overlap: int) -> None:
    frame = Frame(Positions.words([0, *range(1_000_000, 1_000_000 + prompt)], DIM), Positions.words([2], DIM))
    content = words(length)
    cut = windows(content, frame, 128, overlap)
    total: dict[int, float] = {}
    for window in cut:
        assert len(window) <= 128
        assert window.positions.ids[0] == 0
        assert window.positions.ids[-1] == 2
        assert (window.positions.ids[1 : 1 + prompt] >= 1_000_000).all()
        for token, weight in zip(window.positions.ids.tolist(), window.weights.tolist(), strict=True):
            total[token] = total.get(token, 0.0) + weight
    assert set(total) == {0, 2, *range(1_000_000, 1_000_000 + prompt), *range(10, 10 + length)}
    np.testing.assert_allclose(list(total.values()), 1, rtol=1e-5)


@given(length=st.integers(130, 3000))
def test_neighbouring_windows_share_the_overlap(length: int) -> None:
    frame = Frame(Positions.words([0], DIM), Positions.words([2], DIM))
    cut = windows(words(length), frame, 128, 32)
    for left, right in itertools.pairwise(cut):
        shared = set(left.positions.ids[1:-1].tolist()) & set(right.positions.ids[1:-1].tolist())
        assert len(shared) >= 32


def test_a_gate_scales_only_soft_positions() -> None:
    soft = Positions.soft(np.ones((3, DIM), np.float32), np.ones((3, DIM), np.float32), 0.25)
    frame = Frame(Positions.words([0], DIM), Positions.words([2], DIM))
    (window,) = windows(soft, frame, 128, 0)
    np.testing.assert_allclose(window.weights, [1, 0.25, 0.25, 0.25, 1])


def test_a_short_mixed_content_is_one_segment_and_stretches_are_several() -> None:
    mixed = Sequence(DIM)
    mixed.begin(Span("text", 0, 3))
    mixed.add(words(3))
    mixed.begin(Span("whole"))
    mixed.add(words(2))
    assert [str(span) for span, _ in mixed.segments(100)] == [""]
    assert len(list(mixed.segments(4))) == 2
    timed = Sequence(DIM)
    for start in (0, 10):
        timed.begin(Span("seconds", start, start + 10))
        timed.add(words(2))
    assert [str(span) for span, _ in timed.segments(100)] == ["0:00-0:10", "0:10-0:20"]
