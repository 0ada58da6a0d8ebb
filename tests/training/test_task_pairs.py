from panvec.data.pairs import Pair, text
from panvec.training.tasks import balanced, translated


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


def test_a_text_is_joined_by_its_translations() -> None:
    photo = (("image", "a.jpg"),)
    pairs = [Pair("a", photo, (text("A dog  runs ."), text("Two dogs .")), language="en"), Pair("b", photo, (text("A cat ."),))]
    known = [Pair("t", text("A dog runs ."), (text(said),)) for said in ("chien courir", "perro correr", "chien courir")]
    first, second = translated(pairs, [*known, Pair("s", photo, (text("nothing"),))])
    assert [side[0][1] for side in first.positives] == ["A dog  runs .", "Two dogs .", "chien courir", "perro correr"]
    assert second == pairs[1]
