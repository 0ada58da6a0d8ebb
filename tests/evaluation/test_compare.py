"""Paired comparison, precision, languages, gaps, misses, robustness, the sample and its baseline."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from folders import Planted, captioned, labelled, spoken, write_rows

from panvec import Embedder, InputError, ModelError
from panvec.evaluation import evaluate_local
from panvec.evaluation.compare import compare, left_out, paired
from panvec.evaluation.data import Selection
from panvec.evaluation.robustness import PICTURES, SOUNDS, evaluate_robustness
from panvec.evaluation.sample import BASELINE, against_baseline, record, sample_folder, unrecorded
from panvec.evaluation.vectors import Vectors, Words


class Shuffled(Planted):
    """Other vectors than `Planted` for texts: a model that is worse by chance alone, or better."""

    def vector(self, key: str) -> np.ndarray:
        return super().vector(f"{key} again" if " " in key else key)


def test_intervals_and_p_values_equal_scipy() -> None:
    random = np.random.default_rng(3)
    first = random.integers(0, 2, 300).astype(float)
    second = np.where(random.random(300) < 0.15, 1 - first, first)
    second[:12] = 1
    value, low, high, p = paired(first, second)
    differences = second - first
    wanted = scipy.stats.bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=4000, rng=random
    ).confidence_interval
    tested = scipy.stats.permutation_test(
        (first, second),
        lambda a, b, axis: (b - a).mean(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=4000,
        rng=random,
    )
    assert value == pytest.approx(differences.mean())
    assert (low, high) == (pytest.approx(wanted.low, abs=0.01), pytest.approx(wanted.high, abs=0.01))
    assert p == pytest.approx(tested.pvalue, abs=0.03)
    assert paired(first, first) == (0, 0, 0, 1)


def test_two_models_on_the_same_items(tmp_path: Path) -> None:
    captioned(tmp_path / "c")
    one = evaluate_local(tmp_path / "c", Planted()).as_dict(items=True)
    other = evaluate_local(tmp_path / "c", Shuffled()).as_dict(items=True)
    assert not any(each.fell or each.difference for each in compare(one, one))
    found = {(each.task, each.metric): each for each in compare(one, other)}
    scores = {(s["task"], s["metric"]): s["value"] for s in other["scores"]}
    for key, each in found.items():
        assert each.second == pytest.approx(scores[key], abs=1e-4)
        assert each.low <= each.difference <= each.high
    drawn = [evaluate_local(tmp_path / "c", Planted(), limit=3, seed=seed).as_dict(items=True) for seed in (0, 1)]
    with pytest.raises(InputError, match="seed is 0 in one result and 1 in the other"):
        compare(*drawn)
    other["data"][0]["sha256"] = "0"
    with pytest.raises(InputError, match="are not the same in both"):
        compare(one, other)
    with pytest.raises(InputError, match="share no score"):
        compare(one, evaluate_local(tmp_path / "c", Planted()).as_dict())


def test_precisions_equal_the_embedders_own(embedder: Embedder) -> None:
    items = [(Words(text),) for text in ("a dog", "the sea", "ein Hund", "two cups of tea")]
    texts = [text for (word,) in items for text in [word.text]]
    vectors = Vectors(embedder)
    vectors.add(items)
    for dim in (384, 64):
        exact = embedder.embed(texts, dim=dim, precision="int8").astype(np.float32)
        signs = np.unpackbits(embedder.embed(texts, dim=dim, precision="binary"), axis=1).astype(np.float32) * 2 - 1
        for precision, wanted in (("int8", exact), ("binary", signs)):
            unit = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
            np.testing.assert_allclose(vectors.at(precision).of(items, dim).vectors, unit, atol=2e-2)
    with pytest.raises(InputError, match="unknown precision 'int4'"):
        vectors.at("int4")


def test_scores_for_each_language_and_precision_besides_all(tmp_path: Path) -> None:
    captioned(tmp_path / "c")
    rows = [json.loads(line) for line in (tmp_path / "c/captions.jsonl").read_text().splitlines()]
    write_rows(tmp_path / "c/captions.jsonl", [row | {"language": "en" if i % 2 else "de"} for i, row in enumerate(rows)])
    planted = Planted()
    report = evaluate_local(tmp_path / "c", planted, by="language", precisions=["float32", "binary"], dims=[16, 8])
    found = {(s.data, s.precision, s.dim): s for s in report.scores if (s.task, s.metric) == ("text to image", "R@1")}
    assert {data: found[data, "binary", 8].candidates for data, _, _ in found} == {
        "c": 6, "c, language de": 3, "c, language en": 3
    }  # fmt: skip
    assert len(found) == 3 * 2 * 2
    assert len(planted.asked) == len(set(planted.asked))


def test_the_gap_equals_plain_loops(tmp_path: Path) -> None:
    captioned(tmp_path / "c")
    planted = Planted()
    found = evaluate_local(tmp_path / "c", planted).gaps[0]
    rows = [json.loads(line) for line in (tmp_path / "c/captions.jsonl").read_text().splitlines() if '"dev"' in line]
    texts = list(dict.fromkeys(caption for row in rows for caption in row["captions"]))
    media = {row["image"]: planted.vector(row["image"]) for row in rows}
    words = {text: planted.vector(text) for text in texts}
    own = {(row["image"], caption) for row in rows for caption in row["captions"]}
    cosines = {(m, t): float(media[m] @ words[t]) for m in media for t in words}
    assert found.matched == pytest.approx(np.mean([cosines[pair] for pair in own]), abs=1e-6)
    assert found.unmatched == pytest.approx(np.mean([c for pair, c in cosines.items() if pair not in own]), abs=1e-6)
    distance = np.linalg.norm(np.mean(list(media.values()), 0) - np.mean(list(words.values()), 0))
    assert found.distance == pytest.approx(distance, abs=1e-6)


def test_the_worst_misses_are_those_that_stand_lowest(tmp_path: Path) -> None:
    captioned(tmp_path / "c")
    labelled(tmp_path / "l")
    spoken(tmp_path / "s")
    report = evaluate_local(tmp_path, Planted())
    misses = [miss for miss in report.worst if miss.task == "text to image"]
    assert [miss.rank for miss in misses] == sorted((miss.rank for miss in misses), reverse=True)
    assert misses
    assert misses[0].rank >= 5
    assert (misses[0].query[0].kind, misses[0].expected[0].kind, misses[0].found[0].kind) == ("text", "image", "image")
    assert misses[0].found != misses[0].expected
    assert Path(misses[0].found[0].value).is_file()
    assert {miss.task for miss in report.worst} <= {"text to image", "image to text", "audio by class name", "speech to text"}


def test_sentences_find_their_translations(tmp_path: Path, embedder: Embedder) -> None:
    pairs = [("a dog", "ein Hund"), ("the sea", "das Meer"), ("two cups of tea", "zwei Tassen Tee"), ("a dog", "der Hund")]
    write_rows(tmp_path / "d/t/captions.jsonl", [{"sentence1": a, "sentence2": b} for a, b in pairs])
    found = {score.task: score for score in evaluate_local(tmp_path / "d/t", embedder).scores}
    assert found["sentence to translation"].value == found["translation to sentence"].value == 1
    assert (found["sentence to translation"].queries, found["translation to sentence"].queries) == (3, 4)


def test_sentences_are_as_alike_as_people_find_them(tmp_path: Path, embedder: Embedder) -> None:
    pairs = {
        "en": [
            ("a dog", "a puppy", 4.5),
            ("a dog", "the stock market", 0),
            ("the sea", "the ocean", 5),
            ("a cup", "a bike", 1),
        ],
        "de": [("ein Hund", "eine Katze", 2.5), ("der Mond", "der Mond", 5), ("Brot", "die Börse", 0)],
    }
    fields = ("sentence1", "sentence2", "score", "language")
    write_rows(tmp_path / "captions.jsonl", [dict(zip(fields, (*p, of), strict=True)) for of in pairs for p in pairs[of]])
    pairs[""] = pairs["en"] + pairs["de"]
    scores = evaluate_local(tmp_path, embedder, by="language").scores
    assert len(scores) == 3
    for score in scores:
        part = pairs[score.data[-2:] if ", language" in score.data else ""]
        cosines = [float(np.dot(*embedder.embed([a, b]))) for a, b, _ in part]
        assert score.value == pytest.approx(scipy.stats.spearmanr(cosines, [alike for _, _, alike in part]).statistic)
        assert (score.metric, score.queries, score.failed) == ("Spearman", len(part), 0)
        assert np.mean(score.items) == pytest.approx(score.value, abs=1e-4)
    for refused, end in (("puppy", -2), ("the stock market", 2)):
        model = Planted(refused)
        (lost,) = evaluate_local(tmp_path, model).scores
        cosines = [end if refused in b else float(model.vector(a) @ model.vector(b)) for a, b, _ in pairs[""]]
        wrong = scipy.stats.spearmanr(cosines, [alike for _, _, alike in pairs[""]]).statistic
        assert (lost.failed, lost.value) == (1, pytest.approx(wrong)), "a pair without vectors stands at the wrong end"


def test_disturbed_media_are_near_themselves(tmp_path: Path, media: Path, embedder: Embedder) -> None:
    photos = ["dog-ball.jpg", "coffee-cup.jpg", "rocket.jpg", "city-night.jpg"]
    sounds = ["dog-bark.ogg", "church-bell.m4a", "rain.opus"]
    speech = ["sentence-spanish.wav", "answering-machine.mp3"]
    for folder, names in (("d/images", photos), ("d/audio", sounds), ("s/audio", speech)):
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            shutil.copy(media / name, tmp_path / folder)
    rows = [{"image": name, "label": name} for name in photos] + [{"audio": name, "label": name} for name in sounds]
    write_rows(tmp_path / "d/labels.jsonl", rows)
    said = [{"audio": name, "image": photo, "text": name} for name, photo in zip(speech, photos, strict=False)]
    write_rows(tmp_path / "s/captions.jsonl", said)
    spoken = {each.disturbance: each for each in evaluate_robustness(tmp_path / "s", embedder, Selection()).scores}
    assert set(spoken) == set(SOUNDS)
    assert all((each.kind, each.items, each.found) == ("audio", 2, 1) for each in spoken.values())
    assert all(0.5 < each.cosine < 0.99999 for each in spoken.values())
    found = {each.disturbance: each for each in evaluate_robustness(tmp_path / "d", embedder, Selection()).scores}
    assert set(found) == {*PICTURES, *SOUNDS}
    assert found["JPEG of quality 20"].found == 1
    assert found["JPEG of quality 20"].cosine > 0.9
    assert all(0.3 < each.cosine < 0.99999 for each in found.values())
    assert found["noisy, 10 dB"].items == 3
    report = evaluate_robustness(tmp_path / "d", embedder, Selection(limit=3))
    assert embedder.settings.items() <= json.loads(json.dumps(report.as_dict())).items()
    write_rows(tmp_path / "e/captions.jsonl", [{"sentence1": "a", "sentence2": "b"}])
    with pytest.raises(InputError, match="neither pictures nor sounds"):
        evaluate_robustness(tmp_path / "e", embedder, Selection())


def test_a_fall_from_the_baseline_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    captioned(folder / "c")
    good = evaluate_local(folder, Planted())
    with pytest.raises(InputError, match="record one with --record"):
        against_baseline(folder, good)
    assert record(folder, good).name == BASELINE
    assert not any(each.fell for each in against_baseline(folder, good))
    kept = json.loads((folder / BASELINE).read_text())
    for score in kept["scores"]:
        score["items"] = [1] * len(score["items"])
    (folder / BASELINE).write_text(json.dumps(kept))
    assert any(each.fell for each in against_baseline(folder, good))


def test_what_is_only_in_one_result_is_named_and_must_not_be_gone_from_the_sample(tmp_path: Path) -> None:
    captioned(tmp_path / "c")
    whole, short = (evaluate_local(tmp_path, Planted(), dims=dims) for dims in ([16, 8], [16]))
    names = left_out(whole.as_dict(items=True), short.as_dict(items=True))
    assert "c: text to image R@1, dim 8 float32" in names
    assert len(names) == len(compare(short.as_dict(items=True), whole.as_dict(items=True)))
    assert left_out(short.as_dict(items=True), whole.as_dict(items=True)) == []

    record(tmp_path, whole)
    assert unrecorded(tmp_path, whole) == []
    gone = replace(whole, scores=[score for score in whole.scores if score.metric != "R@5"])
    with pytest.raises(InputError, match=r"1 scores of .* were not made, the first is c: text to image R@5, dim 16 float32"):
        against_baseline(tmp_path, gone)
    record(tmp_path, gone)
    assert unrecorded(tmp_path, whole) == ["c: text to image R@5, dim 16 float32"]


def test_a_sample_that_is_not_there() -> None:
    with pytest.raises(InputError, match="no sample data in nowhere: name the folder"):
        sample_folder(Path("nowhere"))


def test_a_broken_medium_is_left_out_of_robustness_and_named(
    tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    captioned(tmp_path / "c")
    whole = evaluate_robustness(tmp_path / "c", embedder, Selection())
    broken = tmp_path / "c/images/red.png"
    broken.write_bytes(broken.read_bytes()[:60])
    report = evaluate_robustness(tmp_path / "c", embedder, Selection())
    assert [each.items for each in whole.scores] == [6] * len(PICTURES)
    assert [each.items for each in report.scores] == [5] * len(PICTURES)
    assert (whole.failures, list(report.failures)) == ({}, [str(broken)])
    monkeypatch.setattr("panvec.evaluation.robustness._TOGETHER", 2)
    few = evaluate_robustness(tmp_path / "c", embedder, Selection())
    assert few.failures == report.failures
    for some, all_ in zip(few.scores, report.scores, strict=True):
        assert asdict(some) == pytest.approx(asdict(all_), abs=1e-5), "however many are decoded at once"
    for path in (tmp_path / "c/images").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(ModelError, match="no medium of .* can be embedded; the first: "):
        evaluate_robustness(tmp_path / "c", embedder, Selection())
