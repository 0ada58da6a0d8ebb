"""mteb's own tasks and metrics on data folders."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from panvec import Embedder

pytest.importorskip("mteb", reason="needs panvec[eval]")

from folders import Calls, picture, tone, write_rows
from sklearn.linear_model import LogisticRegression

from panvec import Image
from panvec.evaluation import evaluate_local
from panvec.evaluation.data import Selection
from panvec.evaluation.suites.encoder import MtebEncoder
from panvec.evaluation.suites.folder import evaluate_with_mteb
from panvec.evaluation.vectors import Vectors

ALIKE = [
    ("a dog", "a puppy", 4.5),
    ("a dog", "the stock market", 0.0),
    ("the sea", "the ocean", 5.0),
    ("a cup", "a bicycle", 1.0),
]
TRANSLATED = [("a dog", "ein Hund"), ("the sea", "das Meer"), ("a cup of tea", "eine Tasse Tee")]


def test_few_shot_clusters_sts_and_bitext(tmp_path: Path, embedder: Embedder) -> None:
    rows = []
    for name, shade in itertools.product(("red", "blue"), range(6)):
        colour = f"rgb({200 + shade}, 10, 10)" if name == "red" else f"rgb(10, 10, {200 + shade})"
        picture(tmp_path / "d/c/images" / f"{name}{shade}.png", colour)
        rows.append({"image": f"{name}{shade}.png", "label": name})
    for name, hz in (("low", 110), ("high", 3000)):
        for step in range(2):
            tone(tmp_path / "d/a/audio" / f"{name}{step}.wav", hz + 5 * step)
    write_rows(tmp_path / "d/c/labels.jsonl", rows)
    write_rows(tmp_path / "d/a/labels.jsonl", [{"audio": f"{n}{s}.wav", "label": n} for n in ("low", "high") for s in range(2)])
    write_rows(tmp_path / "d/s/captions.jsonl", [{"sentence1": a, "sentence2": b, "score": s} for a, b, s in ALIKE])
    write_rows(tmp_path / "d/t/captions.jsonl", [{"sentence1": a, "sentence2": b} for a, b in TRANSLATED])

    scores = evaluate_with_mteb(tmp_path / "d", MtebEncoder(embedder), Selection())
    found = {(score["data"], score["task"], score["metric"]): score["value"] for score in scores}
    assert found["c", "few-shot classification", "accuracy"] == 1
    assert found["c", "clustering", "v_measure"] == pytest.approx(1)
    assert found["a", "few-shot classification", "accuracy"] == 1
    assert found["t", "translation", "f1"] == 1
    vectors = Vectors(embedder)
    evaluate_local(tmp_path / "d", embedder, vectors=vectors)
    knowing = MtebEncoder(embedder)
    knowing.know(vectors.media())
    with Calls("read_image", "read_audio") as calls:
        assert evaluate_with_mteb(tmp_path / "d", knowing, Selection()) == scores
    assert calls.counts == {"read_image": 0, "read_audio": 0}

    cosines = [
        float(np.dot(*embedder.embed([a, b], task="similarity"))) for a, b, _ in ALIKE
    ]  # fmt: skip
    spearman = scipy.stats.spearmanr(cosines, [score for _, _, score in ALIKE]).statistic
    assert found["s", "STS", "cosine_spearman"] == pytest.approx(spearman, abs=1e-6)
    vectors = embedder.embed([Image(tmp_path / "d/c/images" / row["image"]) for row in rows])
    assert (
        LogisticRegression().fit(vectors[::2], [row["label"] for row in rows[::2]]).score(vectors, [r["label"] for r in rows])
        == 1
    )


def test_scores_of_any_range_and_a_file_in_several_rows(tmp_path: Path, embedder: Embedder) -> None:
    below = [{"sentence1": a, "sentence2": b, "score": score - 9} for a, b, score in ALIKE]
    write_rows(tmp_path / "d/below/captions.jsonl", below)
    write_rows(tmp_path / "d/same/captions.jsonl", [row | {"score": 0} for row in below])
    rows = [{"image": f"{name}{shade}.png", "label": name} for name in ("red", "blue") for shade in range(3)]
    for row in rows:
        picture(tmp_path / "d/c/images" / row["image"], row["label"])
    write_rows(tmp_path / "d/c/labels.jsonl", rows * 2)
    scores = {(s["data"], s["task"]): s for s in evaluate_with_mteb(tmp_path / "d", MtebEncoder(embedder), Selection())}
    assert scores["below", "STS"]["value"] > 0.5
    assert ("same", "STS") not in scores, "there is nothing to be alike in"
    assert scores["c", "clustering"]["items"] == len(rows), "no file is in both halves"
