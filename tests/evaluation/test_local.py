"""`evaluate_local` on small folders, with the real model and with planted vectors."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from command import Run
from folders import (
    COLOURS,
    Constant,
    Planted,
    Shy,
    captioned,
    labelled,
    picture,
    pictured,
    spoken,
    write_rows,
)

from panvec import Audio, Embedder, Image, InputError, MediaError, ModelError
from panvec.data.readers import SourceSpec, open_source
from panvec.evaluation import Report, Score, evaluate_local
from panvec.evaluation.data import Selection, read_data
from panvec.evaluation.rows import Pair

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A folder whose neighbours are not other tests' folders, in which media are looked for."""
    folder = tmp_path / "data" / "only"
    folder.mkdir(parents=True)
    return folder


def by_name(report: Report) -> dict[tuple[str, str, int], Score]:
    return {(score.task, score.metric, score.dim): score for score in report.scores}


def test_it_equals_a_script_of_embedder_and_numpy(embedder: Embedder, tmp_path: Path) -> None:
    captioned(tmp_path / "c")
    labelled(tmp_path / "l")
    found = by_name(evaluate_local(tmp_path, embedder, dims=[384, 64]))

    rows = [json.loads(line) for line in (tmp_path / "c/captions.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["split"] == "dev"]
    images = embedder.embed([Image(tmp_path / "c/images" / row["image"]) for row in rows])
    captions = [caption for row in rows for caption in row["captions"]]
    texts = embedder.embed(captions)
    right = np.array([[caption in row["captions"] for row in rows] for caption in captions])
    sounds = [json.loads(line) for line in (tmp_path / "l/labels.jsonl").read_text().splitlines()]
    heard = embedder.embed([Audio(tmp_path / "l/audio" / row["audio"]) for row in sounds])
    names = [f"the sound of {name}" for name in ("a high tone", "a low tone")]
    classes = np.array([f"the sound of {row['class_name']}" == names[0] for row in sounds])
    for dim in (384, 64):
        v, t, h, n = (
            x[:, :dim] / np.linalg.norm(x[:, :dim], axis=1)[:, None] for x in (images, texts, heard, embedder.embed(names))
        )
        scores = (t @ v.T).round(6)
        best = np.where(right, scores, -2).max(1)
        ranks = 1 + ((scores >= best[:, None]) & ~right).sum(1)
        for k in (1, 5, 10):
            assert found["text to image", f"R@{k}", dim].value == pytest.approx((ranks <= k).mean())
        first = [right[t_, i] for i, t_ in enumerate(scores.argmax(0))]
        assert found["image to text", "R@1", dim].value == pytest.approx(np.mean(first))
        accuracy = (((h @ n.T).argmax(1) == 0) == classes).mean()
        assert found["audio by class name", "accuracy", dim].value == pytest.approx(accuracy)
        assert found["audio by class name", "macro accuracy", dim].value == pytest.approx(accuracy)


def test_every_kind_of_row_with_the_real_model(embedder: Embedder, tmp_path: Path) -> None:
    for make, name in ((captioned, "c"), (labelled, "l"), (spoken, "s"), (pictured, "p")):
        make(tmp_path / name)
    (tmp_path / "empty").mkdir()
    steps: list[tuple[int, int, str]] = []
    report = evaluate_local(tmp_path, embedder, progress=lambda *step: steps.append(step))
    found = by_name(report)
    assert {task for task, _, _ in found} == {
        "text to image", "image to text", "text to image, mixed pool", "half caption + image to other captions",
        "half caption to other captions", "image to other captions", "audio by class name", "speech to text",
        "speech to image", "images to text", "images as video to text",
    }  # fmt: skip
    assert all(0 <= score.low <= score.value <= score.high <= 1 for score in report.scores)
    assert all(score.dim == 384 and score.failed == 0 for score in report.scores)
    assert found["text to image", "R@1", 384].queries == 18
    assert found["text to image, mixed pool", "R@10", 384].candidates == 12
    assert found["image to text", "R@1", 384].candidates == 17
    assert found["speech to image", "R@5", 384].candidates == 6
    assert found["images to text", "R@5", 384].queries == 4
    assert [note.split(":")[0] for note in report.notes] == ["empty", "p/meta.jsonl"]
    assert steps[-1][0] == steps[-1][1] == report.settings["embedded"]
    kept = json.loads(json.dumps(report.as_dict()))
    assert kept["space_id"] == embedder.space_id
    assert kept["templates"]["audio"] == ["the sound of {}"]
    assert [data["split"] for data in kept["data"]] == ["dev", None, None, None]
    assert {"panvec", "numpy", "python"} <= set(kept["versions"])
    assert kept["machine"]["cores"]
    assert kept["limits"]["video_frames"] == embedder.limits.video_frames
    assert {"split", "where", "limit", "seed", "dev_share", "by"} <= set(kept)


def test_the_same_again(tmp_path: Path) -> None:
    captioned(tmp_path)
    first, again = (evaluate_local(tmp_path, Planted(), limit=4, seed=5) for _ in range(2))
    assert first.scores == again.scores
    assert first.settings["data"][0]["rows"] == 4


def test_everything_is_embedded_once(tmp_path: Path) -> None:
    captioned(tmp_path / "c")
    spoken(tmp_path / "s")
    pictured(tmp_path / "p")
    planted = Planted()
    evaluate_local(tmp_path, planted, dims=[16, 8])
    assert len(planted.asked) == len(set(planted.asked))
    assert "red.png" in planted.asked
    assert "a plain + red.png" in planted.asked
    assert "video (2, 48, 48, 3) [[255, 0, 0], [0, 128, 0]]" in planted.asked


def test_the_mixed_pool_and_half_captions_equal_plain_loops(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [{"image": f"{i}.png", "captions": [f"text {random.integers(60)} of it" for _ in range(4)]} for i in range(25)]
    write_rows(tmp_path / "captions.jsonl", rows)
    planted = Planted()
    found = by_name(evaluate_local(tmp_path, planted, dims=[8]))

    def vector(key: str) -> np.ndarray:
        prefix = planted.vector(key)[:8]
        return prefix / np.linalg.norm(prefix)

    def rank_of(query: str, right: list[str], others: list[str]) -> int:
        best = max(round(float(vector(query) @ vector(key)), 6) for key in right)
        return 1 + sum(round(float(vector(query) @ vector(key)), 6) >= best for key in others)

    texts = list(dict.fromkeys(text for row in rows for text in row["captions"]))
    order = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]
    hits = []
    for query in (text for row in rows for text in row["captions"]):
        own = [row for row in rows if query in row["captions"]]
        added = [text for text in order if not any(text in row["captions"] for row in own)][: len(rows)]
        media = [row["image"] for row in rows if row not in own]
        hits.append(rank_of(query, [row["image"] for row in own], media + added) <= 10)
    assert found["text to image, mixed pool", "R@10", 8].value == pytest.approx(np.mean(hits))
    pure = found["text to image", "R@10", 8].value
    assert found["text to image, mixed pool", "R@10 kept", 8].value == pytest.approx(np.mean(hits) / pure)

    used = [row for row in rows if set(row["captions"]) != {row["captions"][0]}]
    pool = {text for row in used for text in dict.fromkeys(row["captions"]) if text != row["captions"][0]}
    for name, key in (("half caption + image", "{half} + {image}"), ("half caption", "{half}"), ("image", "{image}")):
        ranks = []
        for row in used:
            whole = row["captions"][0]
            query = key.format(half=" ".join(whole.split()[:2]), image=row["image"])
            right = [text for text in row["captions"] if text != whole]
            ranks.append(rank_of(query, right, [text for text in pool if text not in row["captions"]]))
        assert found[f"{name} to other captions", "R@1", 8].value == pytest.approx(np.mean([r <= 1 for r in ranks]))
        assert found[f"{name} to other captions", "R@10", 8].value == pytest.approx(np.mean([r <= 10 for r in ranks]))


def test_duplicates_and_rows_of_one_file(tmp_path: Path) -> None:
    rows = [{"image": "a.png", "captions": "one"}, {"image": "b.png", "captions": ["two", "one"]}]
    write_rows(tmp_path / "captions.jsonl", [*rows, {"image": "a.png", "captions": "three"}])

    class Near(Planted):
        def vector(self, key: str) -> np.ndarray:
            return super().vector({"one": "a.png", "two": "b.png", "three": "a.png"}.get(key, key))

    found = by_name(evaluate_local(tmp_path, Near()))
    assert found["text to image", "R@1", 16].value == 1
    assert found["text to image", "R@1", 16].queries == 4
    assert found["text to image", "R@1", 16].candidates == 2
    assert found["image to text", "R@1", 16].value == 1
    assert found["image to text", "R@1", 16].candidates == 3


def test_a_collapsed_model_scores_nothing(tmp_path: Path) -> None:
    captioned(tmp_path / "c")
    labelled(tmp_path / "l")
    scores = evaluate_local(tmp_path, Constant()).scores
    assert {score.value for score in scores if score.metric in ("R@1", "accuracy", "macro accuracy")} == {0}


def test_what_cannot_be_embedded_is_named_and_missed(embedder: Embedder, tmp_path: Path) -> None:
    captioned(tmp_path)
    (tmp_path / "images/red.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    (tmp_path / "images/blue.png").unlink()
    report = evaluate_local(tmp_path, embedder)
    found = by_name(report)
    broken = {Path(name).name for name in report.failures if "+" not in name}
    assert broken == {"red.png", "blue.png"}
    assert len(report.failures) == 4
    assert found["text to image", "R@10", 384].value == pytest.approx(12 / 18)
    assert found["text to image", "R@10", 384].failed == 6
    assert found["image to text", "R@1", 384].queries == 6
    assert found["image to text", "R@1", 384].failed == 2
    assert found["half caption to other captions", "R@1", 384].failed == 0
    assert found["half caption + image to other captions", "R@1", 384].failed == 2


def test_a_model_that_breaks_off_loses_only_what_breaks_it(embedder: Embedder, tmp_path: Path) -> None:
    captioned(tmp_path / "c")
    labelled(tmp_path / "l")
    report = evaluate_local(tmp_path, Shy(embedder, Audio))
    assert len(report.failures) == 4
    assert all("RuntimeError: out of memory" in reason for reason in report.failures.values())
    assert by_name(report)["audio by class name", "accuracy", 384].failed == 4
    assert by_name(report)["text to image", "R@1", 384].failed == 0
    with pytest.raises(ModelError, match="out of memory"):
        evaluate_local(tmp_path / "c", Shy(embedder, object))


def test_templates_are_averaged(tmp_path: Path) -> None:
    labelled(tmp_path)
    planted = Planted()
    report = evaluate_local(tmp_path, planted, templates=["{}", "I hear {}"], dims=[8])
    keys = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    names = ["a high tone", "a low tone"]
    prompts = [[planted.vector(t)[:8] for t in (name, f"I hear {name}")] for name in names]
    means = [sum(v / np.linalg.norm(v) for v in pair) for pair in prompts]
    best = [max(names, key=lambda n: _cosine(planted.vector(row["audio"])[:8], means[names.index(n)])) for row in keys]
    expected = np.mean([name == row["class_name"] for name, row in zip(best, keys, strict=True)])
    assert by_name(report)["audio by class name", "accuracy", 8].value == pytest.approx(expected)
    with pytest.raises(InputError, match="no template"):
        evaluate_local(tmp_path, planted, templates=["a sound"])


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_a_test_split_is_read_only_when_named(tmp_path: Path) -> None:
    rows = [{"image": f"{s}.png", "label": s, "split": s} for s in ("train", "val", "test", "Test")]
    write_rows(tmp_path / "labels.jsonl", rows)
    for split, used in ((None, "val"), ("train", "train"), ("test", "test")):
        planted = Planted()
        report = evaluate_local(tmp_path, planted, split=split)
        assert report.settings["data"][0]["split"] == used
        assert [key for key in planted.asked if key.endswith(".png")] == [f"{used}.png"]
        assert (split == "test") == ("a photo of a test" in planted.asked)
    write_rows(tmp_path / "labels.jsonl", rows[2:3])
    with pytest.raises(InputError, match="--split test"):
        evaluate_local(tmp_path, Planted())
    with pytest.raises(InputError, match="split"):
        evaluate_local(tmp_path, Planted(), where={"split": "test"})


def test_rows_are_chosen_by_field(tmp_path: Path) -> None:
    labelled(tmp_path)
    planted = Planted()
    report = evaluate_local(tmp_path, planted, where={"fold": "2"})
    assert [key for key in planted.asked if key.endswith(".wav")] == ["low2.wav", "high2.wav"]
    assert report.settings["where"] == {"fold": "2"}
    with pytest.raises(InputError, match="fold is 1, 2"):
        evaluate_local(tmp_path, planted, where={"fold": "3"})


def test_what_a_recipe_keeps_out_of_training_is_what_is_scored(tmp_path: Path) -> None:
    rows = [{"audio": f"{number}.wav", "label": "even" if number % 2 else "odd"} for number in range(60)]
    write_rows(tmp_path / "labels.jsonl", rows)
    for row in rows:
        (tmp_path / row["audio"]).touch()
    planted = Planted()
    evaluate_local(tmp_path, planted, dev_share=0.3)
    scored = {key for key in planted.asked if key.endswith(".wav")}
    spec = SourceSpec(path=".", query=("audio",), label="label", dev_share=0.3)
    trained = {Path(pair.query[0][1]).name for pair in open_source(spec, tmp_path)}
    assert 5 < len(scored) < 30
    assert scored | trained == {row["audio"] for row in rows}
    assert not scored & trained
    with pytest.raises(InputError, match="dev_share"):
        evaluate_local(tmp_path, planted, dev_share=1.0)


def test_videos_are_captioned_and_labelled(embedder: Embedder, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    frames = [PIL.Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "videos/a.gif", save_all=True, append_images=frames[1:], duration=500)
    write_rows(tmp_path / "captions.jsonl", [{"video": "a.gif", "captions": ["red, then blue"], "label": "colours"}])
    found = by_name(evaluate_local(tmp_path, embedder))
    assert found["text to video", "R@1", 384].value == 1
    assert found["video by class name", "accuracy", 384].value == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "captions.jsonl:1: is no JSON"),
        ("[1]", "is a list"),
        ('{"image": "a.png"}', "make no task"),
        ('{"image": "a.png", "audio": "a.wav", "captions": ["x"]}', "make no task"),
        ('{"image": "a.png", "label": " "}', "1: ' ' is no class"),
        ('{"image": "a.png", "label": ["dog", "cat"]}', "is no class: give a text or a number"),
        ('{"sentence1": ["a", "b"], "sentence2": ["c"]}', "2 first sentences and 1 second"),
        ('{"sentence1": "a", "sentence2": "c", "score": "high"}', "'high' is no score"),
    ],
)
def test_rows_that_cannot_be_understood(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "captions.jsonl").write_text(line)
    with pytest.raises(MediaError, match=message):
        evaluate_local(tmp_path, Planted())


def test_fields_without_a_value_are_no_fields(tmp_path: Path) -> None:
    write_rows(tmp_path / "captions.jsonl", [{"audio": "a.wav", "text": "hello", "image": None}])
    write_rows(tmp_path / "labels.jsonl", [{"image": "a.png", "captions": ["x"], "label": None}])
    tasks = {score.task for score in evaluate_local(tmp_path, Planted()).scores}
    assert tasks == {"speech to text", "text to image", "image to text", "text to image, mixed pool"}


def test_translations_stay_beside_their_texts(tmp_path: Path) -> None:
    write_rows(tmp_path / "captions.jsonl", [{"sentence1": ["a", " ", "c"], "sentence2": ["x", "y", "z"]}])
    ((data,), _) = read_data(tmp_path, Selection())
    assert data.rows == [Pair("a", "x", None), Pair("c", "z", None)]


def test_wrong_calls(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="is no folder"):
        evaluate_local(tmp_path / "nowhere", Planted())
    with pytest.raises(MediaError, match="captions.jsonl"):
        evaluate_local(tmp_path, Planted())
    write_rows(tmp_path / "captions.jsonl", [])
    with pytest.raises(InputError, match="it has no rows"):
        evaluate_local(tmp_path, Planted())
    captioned(tmp_path)
    with pytest.raises(InputError, match="no dim 7"):
        evaluate_local(tmp_path, Planted(), dims=[7])
    with pytest.raises(InputError, match="no split 'dve'"):
        evaluate_local(tmp_path, Planted(), split="dve")


def test_a_photo_in_two_neighbours_is_refused(tmp_path: Path) -> None:
    spoken(tmp_path / "s")
    for name in ("a", "b"):
        picture(tmp_path / name / "images/red.png", "red")
    with pytest.raises(MediaError, match="put the right one"):
        evaluate_local(tmp_path / "s", Planted())


def test_the_command(run: Run, tmp_path: Path) -> None:
    captioned(tmp_path / "c")
    (tmp_path / "c/images/red.png").unlink()
    both = ("eval", "local", tmp_path / "c", "--dim", 384, "--dim", 64)
    code, table, err = run(*both, "--out", tmp_path / "results.json")
    assert code == 0, err
    assert "c, dev, 6 rows" in table
    assert "text to image, mixed pool" in table
    assert "counted as missed" in err
    assert "red.png" in err
    kept = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert kept["dims"] == [384, 64]
    assert all(len(score["items"]) == score["queries"] for score in kept["scores"] if score["metric"] == "R@1")
    again = json.loads(run(*both, "--json")[1])
    assert again["scores"] == [score | {"items": []} for score in kept["scores"]]
    for arguments, message in (
        ((tmp_path / "c", "--out", "results.txt"), ".json"),
        ((tmp_path / "c", "--where", "fold"), "FIELD=VALUE"),
        ((tmp_path / "nowhere",), "is no folder"),
    ):
        code, _, err = run("eval", "local", *arguments)
        assert code in (1, 2)
        assert message in err


@pytest.mark.skipif(not (SHARED / "flickr8k").is_dir(), reason="../shared/data/flickr8k is not on this machine")
def test_thirty_photos_of_flickr8k(embedder: Embedder) -> None:
    report = evaluate_local(SHARED / "flickr8k", embedder, limit=30)
    found = by_name(report)
    assert not report.failures
    assert report.settings["data"][0]["split"] == "dev"
    assert found["text to image", "R@1", 384].queries == 150
    assert found["text to image", "R@10", 384].value > 0.9
    assert found["image to text", "R@1", 384].value > 0.4
    both, half, photo = (
        found[f"{name} to other captions", "R@1", 384].value for name in ("half caption + image", "half caption", "image")
    )
    assert both >= max(half, photo) - 0.1
    assert len(COLOURS) < found["text to image, mixed pool", "R@10", 384].candidates <= 60
