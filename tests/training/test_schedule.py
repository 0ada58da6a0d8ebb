import itertools
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from panvec.training.loop import learning_rate, share_of_rate
from panvec.training.recipe import Stage
from panvec.training.schedule import Schedule


def schedule(steps: int = 400, seed: tuple[int, ...] = (3, 0)) -> Schedule:
    return Schedule({"a": 3, "b": 1}, {"a": 50, "b": 7}, {"a": 8, "b": 16}, steps, seed)


def test_tasks_come_at_their_rates_one_a_batch() -> None:
    drawn = Counter(schedule(2000)[step].task for step in range(2000))
    assert 0.7 < drawn["a"] / 2000 < 0.8


def test_a_batch_is_no_larger_than_its_task() -> None:
    assert {len(schedule()[step].rows) for step in range(50) if schedule()[step].task == "b"} == {7}


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_every_pair_once_before_any_twice(count: int, size: int, seed: int) -> None:
    drawn = Schedule({"a": 1}, {"a": count}, {"a": size}, 60, (seed,))
    rows = np.concatenate([drawn[step].rows for step in range(60)])
    for start in range(0, len(rows) - count + 1, count):
        assert sorted(rows[start : start + count]) == list(range(count))


def test_a_step_depends_on_the_seed_and_its_number_alone() -> None:
    first, second = schedule(), schedule(steps=400)
    second[399], second[5]
    for step in (0, 5, 399):
        np.testing.assert_array_equal(first[step].rows, second[step].rows)
        np.testing.assert_array_equal(first[step].seeds, second[step].seeds)
    assert any((first[step].seeds[:3] != schedule(seed=(4, 0))[step].seeds[:3]).any() for step in range(3))


@given(st.integers(1, 5), st.integers(0, 30))
def test_shares_of_processes_are_the_batch_in_order(ranks: int, step: int) -> None:
    draw = schedule()[step]
    parts = [draw.share(rank, ranks) for rank in range(ranks)]
    np.testing.assert_array_equal(np.concatenate([part.rows for part in parts]), draw.rows)
    np.testing.assert_array_equal(np.concatenate([part.seeds for part in parts]), draw.seeds)


def test_learning_rates() -> None:
    stage = Stage(name="s", steps=100, rate=1.0, warmup=10, final=0.1, mixture={"a": 1})
    rates = [learning_rate(stage, step) for step in range(100)]
    assert rates[0] == 0.1
    assert max(rates) == rates[10] == 1.0
    assert abs(rates[-1] - 0.1) < 1e-9
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    cosine = stage.model_copy(update={"schedule": "cosine"})
    assert learning_rate(cosine, 99) < 0.11
    assert learning_rate(stage.model_copy(update={"schedule": "constant"}), 99) == 1.0


def test_the_longest_beginning_of_a_name_sets_its_share_of_the_rate() -> None:
    rates = {"audio": 0.5, "audio.reduce": 0.1}
    assert [share_of_rate(name, rates) for name in ("audio.reduce.weight", "audio.skip.bias", "head.weight")] == [0.1, 0.5, 1.0]
