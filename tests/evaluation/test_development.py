"""nano on development data, equal to a script of `Embedder` and numpy; and where an evaluation spends its time.

`PANVEC_DEV_LIMIT=200 pytest tests/evaluation/test_development.py` takes 200 items of each set, or all where there are fewer.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from panvec import Audio, Embedder, Image
from panvec.evaluation import evaluate_local

DATA = Path(__file__).parents[3] / "shared" / "data"
LIMIT = int(os.environ.get("PANVEC_DEV_LIMIT", "12"))


def rows(file: str, **wanted: object) -> list[dict]:
    """The rows that `--limit` draws of those with some values."""
    if not (DATA / file).is_file():
        pytest.skip(f"../shared/data/{file} is not on this machine")
    found = [json.loads(line) for line in (DATA / file).read_text(encoding="utf-8").splitlines()]
    found = [row for row in found if all(row.get(name) == value for name, value in wanted.items())]
    return [found[i] for i in sorted(np.random.default_rng(0).choice(len(found), min(LIMIT, len(found)), replace=False))]


def recall(queries: np.ndarray, candidates: np.ndarray, right: np.ndarray, k: int = 1) -> float:
    """The share of queries with a right candidate among the first k, a wrong one of the same cosine standing before it."""
    cosines = np.round(queries @ candidates.T, 6)
    best = np.where(right, cosines, -2).max(1, keepdims=True)
    return float((((cosines >= best) & ~right).sum(1) < k).mean())


def test_photos(embedder: Embedder) -> None:
    dev = rows("flickr8k/captions.jsonl", split="dev")
    photos = embedder.embed([Image(DATA / "flickr8k/images" / row["image"]) for row in dev])
    captions = [caption for row in dev for caption in row["captions"]]
    said = embedder.embed(captions)
    right = np.array([[caption in row["captions"] for row in dev] for caption in captions])
    report = evaluate_local(DATA / "flickr8k", embedder, limit=LIMIT)
    found = {(score.task, score.metric): score.value for score in report.scores}
    for k in (1, 5, 10):
        assert found["text to image", f"R@{k}"] == pytest.approx(recall(said, photos, right, k))
    assert found["image to text", "R@1"] == pytest.approx(recall(photos, said, right.T))


def test_photos_through_mteb(embedder: Embedder, tmp_path: Path) -> None:
    mteb = pytest.importorskip("mteb", reason="needs panvec[eval]")
    from panvec.evaluation.suites.captions import SOURCES, caption_task
    from panvec.evaluation.suites.encoder import MtebEncoder

    dev = rows("flickr8k/captions.jsonl", split="dev")
    (tmp_path / "images").symlink_to(DATA / "flickr8k/images")
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, dev)), encoding="utf-8")
    encoder = MtebEncoder(embedder)
    found = {}
    for direction in ("t2i", "i2t"):
        task = caption_task(SOURCES["DOCCI"], direction, tmp_path)
        (result,) = mteb.evaluate(encoder, task, cache=None, co2_tracker=False, show_progress_bar=False).task_results
        found[direction] = result.scores["test"][0]

    photos = embedder.embed([Image(DATA / "flickr8k/images" / row["image"]) for row in dev])
    captions = [caption for row in dev for caption in row["captions"]]
    cosines = embedder.embed(captions) @ photos.T
    right = np.array([[caption in row["captions"] for row in dev] for caption in captions])
    first = right[np.arange(len(captions)), cosines.argmax(1)] / right.sum(1)
    back = right.T[np.arange(len(dev)), cosines.T.argmax(1)]
    assert found["t2i"]["recall_at_1"] == pytest.approx(first.mean(), abs=1e-4)
    assert found["i2t"]["hit_rate_at_1"] == pytest.approx(back.mean(), abs=1e-4)


@pytest.mark.parametrize(
    ("data", "split", "where"), [("urbansound8k", None, {"fold": 3}), ("fsdd", "train", {"speaker": "theo"})]
)
def test_sounds_and_digits(embedder: Embedder, data: str, split: str | None, where: dict[str, object]) -> None:
    chosen = rows(f"{data}/labels.jsonl", **where)
    every = [json.loads(line) for line in (DATA / data / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    names = sorted({row["label"] for row in every})
    heard = embedder.embed([Audio(DATA / data / "audio" / row["audio"]) for row in chosen])
    called = embedder.embed([f"the sound of {name}" for name in names])
    wanted = recall(heard, called, np.array([[name == row["label"] for name in names] for row in chosen]))
    fields = {name: str(value) for name, value in where.items()}
    report = evaluate_local(DATA / data, embedder, split=split, where=fields, limit=LIMIT)
    assert {score.metric: score.value for score in report.scores}["accuracy"] == pytest.approx(wanted)


def test_spoken_captions(embedder: Embedder) -> None:
    dev = rows("flickr8k_speech/captions.jsonl", split="dev")
    heard = embedder.embed([Audio(DATA / "flickr8k_speech/audio" / row["audio"]) for row in dev])
    texts = sorted({row["text"] for row in dev})
    right = np.array([[text == row["text"] for text in texts] for row in dev])
    report = evaluate_local(DATA / "flickr8k_speech", embedder, limit=LIMIT)
    found = {score.task: score.value for score in report.scores}
    assert found["speech to text"] == pytest.approx(recall(heard, embedder.embed(texts), right))
