import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import labels, read, read_with_bad, spec, values
from small_media import SHARED, image_bytes, json_lines, plain, wav_bytes, write

from panvec.content import Limits, Video
from panvec.data.pairs import Pair, text, write_pairs
from panvec.data.readers import BadRowsWarning, SourceSpec, open_source, share_of
from panvec.media.video import read_video

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not here")


# --- folders ---------------------------------------------------------------------------------------------------------


def test_captions(captions: Path) -> None:
    (pair,) = read(captions)
    assert pair == Pair("a", (("image", str(captions / "images/a.png")),), (text("one"), text("two")))
    (dev,) = read(captions, split="validation", language="en")
    assert (dev.item, dev.split, dev.language) == ("b", "dev", "en")
    assert [pair.item for pair in read(captions, split="unsplit")] == ["c"]


def test_sound_with_a_photo_elsewhere(tmp_path: Path, captions: Path) -> None:
    folder = tmp_path / "speech"
    write(folder / "audio/a.wav", wav_bytes())
    json_lines(folder / "captions.jsonl", [{"audio": "a.wav", "image": "a.png", "text": "said"}])
    (said,) = read(folder)
    assert (said.query[0][0], said.item, said.positives) == ("audio", "a", (text("said"),))
    elsewhere = {"image": "../captions/images"}
    (both,) = read(folder, query=("audio", "image"), positives=("text",), media=elsewhere)
    assert values((both.query,)) == [("a.wav", "a.png")]
    (answers,) = read(folder, query=("audio",), positives=("text", ("image", "text")), media=elsewhere)
    assert values(answers.positives) == [("said",), ("a.png", "said")]


def test_labels_by_templates(tmp_path: Path) -> None:
    folder = labels(tmp_path, [{"audio": "a.wav", "label": "street_music"}, {"audio": "b.wav", "label": "{0.__class__}"}])
    first, second = read(folder, templates=("the sound of a {}", "{}"))
    assert values(first.positives) == [("the sound of a street music",), ("street music",)]
    assert values(second.positives) == [("the sound of a {0.  class  }",), ("{0.  class  }",)]
    (swapped, _) = read(folder, query=("label",), positives=("audio",), templates=("the sound of a {}", "{}"))
    assert swapped.query == text("the sound of a street music")
    assert values(swapped.positives) == [("a.wav",)]


def test_labels_and_items_are_held_out_and_rows_chosen(tmp_path: Path) -> None:
    rows = [
        {"audio": f"{name}.wav", "label": label, "fold": i}
        for i, (name, label) in enumerate(zip("abcd", ["Dog_bark", "cat", "cat", "cow"], strict=True))
    ]
    folder = labels(tmp_path, rows)
    assert [pair.item for pair in read(folder, held_out_labels=("dog bark", "cow"))] == ["b", "c"]
    assert [pair.item for pair in read(folder, held_out_items=("b", "d"))] == ["a", "c"]
    assert [pair.item for pair in read(folder, only={"fold": (1, 2), "label": ("cat",)})] == ["b", "c"]
    assert [pair.item for pair in read(folder, limit=2)] == ["a", "b"]
    reader = open_source(spec(folder, held_out_labels=("cat",), held_out_items=("a",), only={"fold": (0, 1, 2)}))
    with pytest.warns(BadRowsWarning, match="2 labels held out, 1 items held out, 1 not among"):
        assert not list(reader)


def test_clips_of_one_recording_stay_together(tmp_path: Path) -> None:
    rows = [
        {"audio": f"{name}.wav", "label": "dog", "freesound_id": number} for name, number in zip("abc", (7, 7, 8), strict=True)
    ]
    assert [pair.item for pair in read(labels(tmp_path, rows))] == ["7", "7", "8"]
    rows = [{"audio": "a.wav", "label": "zero", "speaker": "george"}]
    assert [pair.item for pair in read(labels(tmp_path, rows), item="speaker")] == ["george"]
    folder = labels(tmp_path, [*rows, {"audio": "b.wav", "label": "one", "speaker": None}])
    _, ((_, why),) = read_with_bad(folder, item="speaker")
    assert why == "its speaker is NoneType None: an item has a name or a number"
    assert [pair.item for pair in read(labels(tmp_path, [*rows, rows[0] | {"item": "named"}]))] == ["a", "named"]


def test_two_labels_of_one_name_in_two_folders_are_two_items(tmp_path: Path) -> None:
    for name in ("x/1.png", "y/1.png"):
        write(tmp_path / name, image_bytes())
    json_lines(tmp_path / "labels.jsonl", [{"image": "x/1.png", "label": "a"}, {"image": "y/1.png", "label": "b"}])
    assert [pair.item for pair in read(tmp_path)] == ["x/1", "y/1"]


@pytest.fixture
def exercises(tmp_path: Path) -> Path:
    folder = tmp_path / "exercises"
    for name, colour in (("s0", "red"), ("s1", "blue")):
        write(folder / f"images/{name}.png", image_bytes(plain(colour, (65, 49))))
    rows = [
        {"id": "Sit", "name": "Sit-Up", "instructions": ["Lie down.", "Sit up."], "images": ["s0.png", "s1.png"]},
        {"id": "Bare", "name": "Bare", "instructions": [], "images": ["s1.png"]},
    ]
    json_lines(folder / "meta.jsonl", rows)
    return folder


def test_exercises_are_photos_in_one_content(exercises: Path) -> None:
    sit, bare = read(exercises)
    assert (sit.item, values((sit.query,))) == ("Sit", [("s0.png", "s1.png")])
    assert sit.positives == (text("Sit-Up"), text("Lie down. Sit up."))
    assert bare.positives == (text("Bare"),)


def test_exercises_as_videos(exercises: Path, cache: Path) -> None:
    sit, bare = read(exercises, photos="video")
    assert [modality for modality, _ in sit.query] == ["video"]
    path = Path(sit.query[0][1])
    assert path.is_relative_to(cache)
    (clip,) = read_video(Video(path), Limits())
    assert clip.end == pytest.approx(2, abs=0.1)
    assert [int(np.argmax(frame.pixels.mean(axis=(0, 1)))) for frame in clip.frames] == [0, 2]
    assert clip.frames[0].pixels.shape == (48, 64, 3)
    before = path.stat().st_mtime_ns
    assert read(exercises, photos="video") == [sit, bare]
    assert path.stat().st_mtime_ns == before


def test_groceries_are_joined_with_their_classes(tmp_path: Path) -> None:
    write(tmp_path / "images/1.png", image_bytes())
    write(tmp_path / "iconic/apple.png", image_bytes())
    known = {"class_id": 0, "label": "Gala", "coarse": "Apple", "iconic": "apple.png", "description": "Red."}
    json_lines(tmp_path / "classes.jsonl", [known])
    photos = [{"image": "1.png", "label": name, "coarse": "Apple", "split": "train"} for name in ("Gala", "Kiwi")]
    json_lines(tmp_path / "labels.jsonl", photos)
    (pair,), ((where, why),) = read_with_bad(tmp_path)
    assert values(pair.positives) == [("Gala",), ("Red.",), ("apple.png",)]
    assert pair.positives[2][0][0] == "image"
    assert "labels.jsonl, line 2" in where
    assert "'Kiwi' is not in classes.jsonl" in why


def test_csv(tmp_path: Path) -> None:
    lines = ["\ufefftext,category", '"Where, is\nmy card?",card_arrival', "", "only one", '"a ""b""",lost_card']
    (tmp_path / "train.csv").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "test.csv").write_text("text,category\nnever,seen\n", encoding="utf-8")
    pairs, ((where, why),) = read_with_bad(tmp_path)
    assert [(pair.query, pair.positives) for pair in pairs] == [
        (text("Where, is\nmy card?"), (text("card arrival"),)),
        (text('a "b"'), (text("lost card"),)),
    ]
    assert where.endswith("train.csv, line 5")
    assert why == "1 values, not 2"
    assert [pair.query for pair in read(tmp_path / "test.csv", split="test")] == [text("never")]


def test_csv_in_another_encoding_is_no_silent_damage(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text,label\nok,a\nna\xefve,b\n".encode("latin-1") + b"x" * 200_000 + b",c\nlast,d\n")
    pairs, bad = read_with_bad(tmp_path / "a.csv")
    assert [pair.query for pair in pairs] == [text("ok"), text("last")]
    assert ["character" in bad[0][1], "field larger" in bad[1][1], len(bad)] == [True, True, 2]


@pytest.fixture
def pairs_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    write(folder / "a.png", image_bytes())
    image = (("image", str(folder / "a.png")),)
    pairs = [Pair(f"i{number}", image, (text("words"),), (text("no"),), language="de") for number in range(40)]
    write_pairs(folder, [*pairs, Pair("held", image, (text("p"),), split="dev")])
    return folder


def test_a_folder_of_pairs(pairs_folder: Path) -> None:
    pairs = read(pairs_folder)
    assert len(pairs) == 40
    assert pairs[0] == Pair("i0", (("image", str(pairs_folder / "a.png")),), (text("words"),), (text("no"),), language="de")
    assert [pair.item for pair in read(pairs_folder, split="dev")] == ["held"]
    carved = read(pairs_folder, split="dev", dev_share=0.3)
    assert {pair.item for pair in carved} == {"held", *(f"i{n}" for n in range(40) if share_of(f"i{n}") < 0.3)}
    assert all(pair.split == "dev" for pair in carved)
    assert len(read(pairs_folder, dev_share=0.3)) == 41 - len(carved)
    assert [pair.item for pair in read(pairs_folder / "pairs.jsonl", held_out_items=("i0",), limit=1)] == ["i1"]


def test_bad_rows_of_a_folder_of_pairs(pairs_folder: Path) -> None:
    good = {"item": "x", "query": ["q"], "positives": [["p"]]}
    hostile = good | {"query": [{"image": "../secret.png"}]}
    json_lines(
        pairs_folder / "pairs.jsonl", [good, "{", good | {"query": [{"image": "gone.png"}]}, hostile, {"query": ["q"]}, good]
    )
    pairs, bad = read_with_bad(pairs_folder)
    assert len(pairs) == 2
    assert [where.rpartition("line ")[2] for where, _ in bad] == ["2", "3", "4", "5"]
    assert [any(word in why for word in ("no JSON", "is no file", "outside", "no 'item'")) for _, why in bad] == [True] * 4


# --- splits ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(), unique=True), st.floats(0, 1), st.floats(0, 1))
def test_what_is_dev_stays_dev_as_the_share_grows(items: list[str], one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert {item for item in items if share_of(item) < small} <= {item for item in items if share_of(item) < large}
    assert all(0 <= share_of(item) < 1 for item in items)


def test_the_share_is_what_it_says_and_known_for_ever() -> None:
    assert np.mean([share_of(f"item {number}") < 0.2 for number in range(5_000)]) == pytest.approx(0.2, abs=0.02)
    assert share_of("a") == int(hashlib.sha256(b"a").hexdigest()[:16], 16) / 2**64


def test_a_source_without_splits_is_split_by_item(tmp_path: Path) -> None:
    rows = [{"query": f"question {number // 2}", "positive": f"answer {number}"} for number in range(400)]
    json_lines(tmp_path / "qa.jsonl", rows)
    train, dev = (read(tmp_path / "qa.jsonl", dev_share=0.25, split=split) for split in ("train", "dev"))
    assert len(train) + len(dev) == 400
    assert 60 < len(dev) < 140
    assert not {pair.item for pair in train} & {pair.item for pair in dev}
    assert read(tmp_path / "qa.jsonl", dev_share=0.25, split="dev") == dev


def test_rows_of_a_test_split_never_become_dev(tmp_path: Path) -> None:
    rows = [{"query": f"q{number}", "positive": "p", "split": split} for split in ("train", "test") for number in range(100)]
    json_lines(tmp_path / "qa.jsonl", rows)
    dev = read(tmp_path / "qa.jsonl", dev_share=0.5, split="dev")
    assert len(read(tmp_path / "qa.jsonl", dev_share=0.5, split="test")) == 100
    assert len(read(tmp_path / "qa.jsonl", dev_share=0.5)) + len(dev) == 100


def test_nothing_of_a_split_is_said(captions: Path) -> None:
    with pytest.warns(BadRowsWarning, match="Nothing of split test"):
        assert not list(open_source(spec(captions, split="test")))


# --- the data handed to the project ----------------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize(
    ("options", "count", "query", "answers"),
    [
        ({"path": "flickr8k"}, 6090, "image", ["text"] * 5),
        ({"path": "flickr8k", "split": "dev"}, 1000, "image", ["text"] * 5),
        ({"path": "flickr8k_speech"}, 753, "audio", ["text"]),
        ({"path": "grocery"}, 2640, "image", ["text", "text", "image"]),
        ({"path": "grocery", "split": "dev"}, 296, "image", ["text", "text", "image"]),
        ({"path": "exercises"}, 692, "image+image", ["text", "text"]),
        ({"path": "exercises", "photos": "video", "limit": 3}, 3, "video", ["text", "text"]),
        ({"path": "urbansound8k", "templates": ("the sound of a {}", "{}")}, 2148, "audio", ["text", "text"]),
        ({"path": "animal_sounds"}, 660, "audio", ["text"]),
        ({"path": "fsdd"}, 2700, "audio", ["text"]),
        ({"path": "tiny_imagenet"}, 2000, "image", ["text"]),
        ({"path": "cifar10", "held_out_labels": ("airplane",)}, 900, "image", ["text"]),
        ({"path": "text/banking77"}, 10003, "text", ["text"]),
    ],
    ids=str,
)
def test_the_shared_data(options: dict[str, object], count: int, query: str, answers: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", BadRowsWarning)
        pairs = list(open_source(SourceSpec(**options), SHARED))
    assert len(pairs) == count
    assert "+".join(modality for modality, _ in pairs[0].query) == query
    assert [side[0][0] for side in pairs[0].positives] == answers
    assert len({pair.item for pair in pairs}) > 1


@needs_shared
def test_speech_and_photos_share_their_items() -> None:
    photos = {pair.item for pair in open_source(SourceSpec(path="flickr8k"), SHARED)}
    assert {pair.item for pair in open_source(SourceSpec(path="flickr8k_speech"), SHARED)} <= photos
