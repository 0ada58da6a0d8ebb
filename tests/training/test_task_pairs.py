from panvec.data.pairs import Pair, text
from panvec.training.tasks import balanced


def test_pairs_of_rare_answers_come_more_often_but_not_for_ever() -> None:
    counts = {"dog": 60, "cat": 20, "donkey": 2}
    pairs = [
        Pair(f"{name}-{n}", (("audio", f"{name}-{n}.ogg"),), (text(name),)) for name, own in counts.items() for n in range(own)
    ]
    found = balanced(pairs)
    assert set(found) == set(pairs)
    assert {name: sum(pair.positives == (text(name),) for pair in found) for name in counts} == {
        "dog": 60,
        "cat": 60,
        "donkey": 12,
    }
    assert max(found.count(pair) for pair in found) == 6
    assert balanced([]) == []
