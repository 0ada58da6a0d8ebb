import hashlib
import io
import json
import sys
import tarfile
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from small_media import SHARED, image_bytes, json_lines, plain, wav_bytes, write

from panvec.content import Limits, Video
from panvec.data.formats.files import shards
from panvec.data.pairs import Pair, Side, text, write_pairs
from panvec.data.readers import BadRowsWarning, Reader, SourceSpec, open_source, share_of
from panvec.errors import InputError
from panvec.media.video import read_video

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not here")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is written into the cache of whoever runs the tests, and nothing is fetched."""
    for name in ("XDG_CACHE_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    return tmp_path / "cache"


def spec(path: Path, **options: object) -> SourceSpec:
    return SourceSpec(path=str(path), **options)


def read(path: Path, **options: object) -> list[Pair]:
    """The pairs of a source that holds no bad row."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", BadRowsWarning)
        return list(open_source(spec(path, **options)))


def read_with_bad(path: Path, **options: object) -> tuple[list[Pair], list[tuple[str, str]]]:
    """The pairs, and where and why rows are bad."""
    reader = open_source(spec(path, **options))
    with pytest.warns(BadRowsWarning) as caught:
        pairs = list(reader)
    assert len(caught) == 1
    assert str(caught[0].message) == str(reader.report)
    assert reader.report.bad == len(reader.report.problems)
    assert reader.report.rows == reader.report.bad + len(pairs) + reader.report.left_out.total()
    return pairs, [(bad.where, bad.why) for bad in reader.report.problems]


def values(sides: tuple[Side, ...]) -> list[tuple[str, ...]]:
    """The texts and the names of the files."""
    return [tuple(value if modality == "text" else Path(value).name for modality, value in side) for side in sides]


# --- folders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    folder = tmp_path / "captions"
    for name in "abc":
        write(folder / f"images/{name}.png", image_bytes())
    rows = [
        {"image": "a.png", "captions": ["one", "two", " ", "one"], "split": "train"},
        {"image": "b.png", "captions": ["three"], "split": "val"},
        {"image": "c.png", "captions": ["four"], "split": "unsplit"},
    ]
    json_lines(folder / "captions.jsonl", rows)
    return folder


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


def labels(folder: Path, rows: list[object]) -> Path:
    for name in "abcdef":
        write(folder / f"audio/{name}.wav", wav_bytes())
    json_lines(folder / "labels.jsonl", rows)
    return folder


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


# --- bad rows --------------------------------------------------------------------------------------------------------


BAD_LABELS = {
    "{": "no JSON",
    "[1]": "a JSON list",
    '{"audio": "a.wav"}': "no answer in label",
    '{"label": "x"}': "no 'audio'",
    '{"audio": "gone.wav", "label": "x"}': "'gone.wav' is no file",
    '{"audio": "../labels.jsonl", "label": "x"}': "outside",
    '{"audio": "/etc/hostname", "label": "x"}': "outside",
    '{"audio": "a.wav", "label": 3}': "label is int 3",
    '{"audio": "a.wav", "label": " "}': "no answer in label",
    '{"audio": null, "label": "x"}': "query is empty",
    '{"audio": 7, "label": "x"}': "audio is int 7",
    '{"audio": {"path": "a.wav"}, "label": "x"}': "a path without bytes",
    '{"audio": "a.wav", "label": "\\ud83d"}': "no text may hold",
    '{"audio": "a\\u0000.wav", "label": "x"}': "no text may hold",
    '{"audio": ".", "label": "x"}': "is no file",
    '{"audio": "loop", "label": "x"}': "is no file",
    '{"audio": "' + "x" * 5_000 + '", "label": "x"}': "is no file",
    '{"audio": "a.wav", "label": "x", "item": [1]}': "item is list [1]",
    "[" * 100_000: "no JSON",
    '{"audio": "' + "x" * 20_000_001 + '"}': "over the limit",
}


def test_bad_rows_are_named_and_stop_nothing(tmp_path: Path) -> None:
    good = {"audio": "a.wav", "label": "dog"}
    folder = labels(tmp_path, [good, *BAD_LABELS, good])
    (folder / "audio/loop").symlink_to("loop")
    pairs, bad = read_with_bad(folder)
    assert len(pairs) == 2
    assert [where for where, _ in bad] == [f"{folder / 'labels.jsonl'}, line {n}" for n in range(2, 2 + len(BAD_LABELS))]
    for (_, why), expected in zip(bad, BAD_LABELS.values(), strict=True):
        assert expected in why


def test_strict_stops_at_the_first(tmp_path: Path) -> None:
    folder = labels(tmp_path, [{"audio": "a.wav", "label": "dog"}, "{"])
    with pytest.raises(InputError, match="line 2: no JSON"):
        list(open_source(spec(folder, strict=True)))


def test_only_bad_rows_are_an_error(tmp_path: Path) -> None:
    folder = labels(tmp_path, [{"audio": "gone.wav", "label": "dog"}] * 150)
    reader = open_source(spec(folder))
    with pytest.warns(BadRowsWarning, match="and 140 more"), pytest.raises(InputError, match="Every row is bad"):
        list(reader)
    assert (reader.report.bad, len(reader.report.problems)) == (150, 100)


def test_a_reader_that_is_left_early_says_what_was_bad(tmp_path: Path) -> None:
    folder = labels(tmp_path, ["{", *[{"audio": "a.wav", "label": "dog"}] * 2])
    pairs = iter(open_source(spec(folder)))
    next(pairs)
    with pytest.warns(BadRowsWarning, match="1 bad rows"):
        pairs.close()


def test_a_reader_can_be_read_again(tmp_path: Path) -> None:
    reader = open_source(spec(labels(tmp_path, [{"audio": "a.wav", "label": "dog"}])))
    assert list(reader) == list(reader)
    assert reader.report.pairs == 1


# --- what is asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"query": "text"},
        {"held_out_labels": "dog"},
        {"dev_share": 1.0},
        {"dev_share": -0.1},
        {"limit": 0},
        {"medium_bytes": 0},
        {"templates": ()},
        {"templates": ("a dog",)},
        {"templates": ("{} and {}",)},
    ],
)
def test_a_spec_without_meaning(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"^here: "):
        SourceSpec(path="here", **options)


def test_a_mapping_of_yaml_is_a_spec() -> None:
    given = {"path": "x", "positives": ["a", ["b", "c"]], "only": {"fold": [1, "2", True]}, "templates": ["a {}"], "limit": 3}
    made = TypeAdapter(SourceSpec).validate_python(given)
    assert made == SourceSpec(
        path="x", positives=("a", ("b", "c")), only={"fold": (1, "2", True)}, templates=("a {}",), limit=3
    )
    with pytest.raises(ValidationError, match="lmit"):
        TypeAdapter(SourceSpec).validate_python({"path": "x", "lmit": 3})
    with pytest.raises(ValidationError, match="format"):
        TypeAdapter(SourceSpec).validate_python({"path": "x", "format": "tape"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allow_network": True}, "allow_network mean nothing to the format jsonl"),
        ({"photos": "video", "cache": "x"}, "cache, photos mean nothing"),
        ({"format": "tape"}, "no format 'tape'"),
        ({"format": "csv"}, "holds no file that ends in .csv"),
        ({"format": "pairs"}, "no pairs.jsonl"),
    ],
)
def test_options_that_mean_nothing_here(captions: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_source(spec(captions, **options))


def test_columns_that_are_not_there(tmp_path: Path, captions: Path) -> None:
    (tmp_path / "a.csv").write_text("first,second\na,b\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"which column is the query\? It has first, second"):
        open_source(spec(tmp_path / "a.csv"))
    with pytest.raises(InputError, match="no column 'third': it has first, second"):
        open_source(spec(tmp_path / "a.csv", query=("first",), positives=("third",)))
    with pytest.raises(InputError, match="which column is the label"):
        open_source(spec(captions, held_out_labels=("dog",)))
    assert len(read(tmp_path / "a.csv", query=("first",), positives=("second",))) == 1


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not there"):
        open_source(spec(tmp_path / "gone"))
    with pytest.raises(InputError, match="what format is this"):
        open_source(spec(tmp_path))
    (tmp_path / "a.jsonl").write_text("\n{\n", encoding="utf-8")
    with pytest.raises(InputError, match="not one row can be read"):
        open_source(spec(tmp_path / "a.jsonl"))


def test_paths_are_seen_from_the_root(captions: Path) -> None:
    assert len(list(Reader(SourceSpec(path="captions"), captions.parent))) == 1


def test_text_triplets(tmp_path: Path) -> None:
    json_lines(
        tmp_path / "t.jsonl", [{"anchor": "a", "positive": "p", "negative_1": "n", "negative_2": None, "language": "fr"}]
    )
    assert read(tmp_path / "t.jsonl", language="en") == [Pair("a", text("a"), (text("p"),), (text("n"),), language="fr")]


# --- parquet ---------------------------------------------------------------------------------------------------------


def parquet(path: Path, columns: dict[str, list[object]], features: dict[str, object] | None = None) -> Path:
    table = pa.table(columns)
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=2)
    return path


def test_parquet_of_media(tmp_path: Path, cache: Path) -> None:
    red, blue, sound = image_bytes("red"), image_bytes("blue", "JPEG"), wav_bytes()
    columns = {
        "image": [{"bytes": data, "path": "../../x.png"} for data in (red, blue, red)],
        "sound": [sound, None, None],
        "label": [0, 1, -1],
        "unused": [1, 2, 3],
    }
    file = parquet(tmp_path / "a.parquet", columns, {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}})
    (first, second), ((where, why),) = read_with_bad(file, positives=("label", "sound"))
    assert (where, why) == (f"{file}, row 3", "it has no answer in label, sound")
    assert first.query == (("image", str(cache / f"panvec/media/{_sha(red)[:2]}/{_sha(red)}.png")),)
    assert Path(first.query[0][1]).read_bytes() == red
    assert first.item == _sha(red)[:32]
    assert values(first.positives) == [("cat",), (f"{_sha(sound)}.wav",)]
    assert first.positives[1][0][0] == "audio"
    assert values((second.query, *second.positives)) == [(f"{_sha(blue)}.jpg",), ("dog",)]


def test_the_same_medium_is_written_once(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", {"image": [image_bytes()] * 3, "text": ["a", "b", "c"]})
    pairs = read(file, cache=str(tmp_path / "media"))
    assert len({pair.query for pair in pairs}) == 1
    (stored,) = (path for path in (tmp_path / "media").rglob("*") if path.is_file())
    before = stored.stat().st_mtime_ns
    assert read(file, cache=str(tmp_path / "media")) == pairs
    assert stored.stat().st_mtime_ns == before


def test_bytes_that_are_no_medium_are_not_kept(tmp_path: Path) -> None:
    media = [
        b"<html>not found</html>",
        b"",
        image_bytes()[:40],
        wav_bytes(),
        b"PK\3\4" + bytes(40),
        image_bytes() * 9,
        image_bytes(),
    ]
    file = parquet(tmp_path / "a.parquet", {"image": media, "text": ["words"] * 7})
    pairs, bad = read_with_bad(file, cache=str(tmp_path / "media"), medium_bytes=len(wav_bytes()))
    assert len(pairs) == 2
    expected = ["of no known type", "of no known type", "a medium of 40 bytes", "of another modality: audio", "ZIP"]
    assert [word in why for word, (_, why) in zip(expected, bad, strict=True)] == [True] * 5
    with pytest.warns(BadRowsWarning, match="over the limit of 20"), pytest.raises(InputError, match="Every row is bad"):
        list(open_source(spec(file, cache=str(tmp_path / "small"), medium_bytes=20)))
    assert not (tmp_path / "small").exists()
    names = {path.name for path in (tmp_path / "media").rglob("*") if path.is_file()}
    assert names == {f"{_sha(data)}.{suffix}" for data, suffix in [(media[-1], "png"), (media[-2], "png"), (media[3], "wav")]}


def test_an_animation_is_good_for_a_picture(tmp_path: Path) -> None:
    gif = io.BytesIO()
    PIL.Image.new("RGB", (8, 8), "red").save(gif, "GIF", save_all=True, append_images=[PIL.Image.new("RGB", (8, 8), "blue")])
    (pair,) = read(parquet(tmp_path / "a.parquet", {"image": [gif.getvalue()], "text": ["words"]}))
    assert pair.query[0][0] == "video"


def test_rows_that_are_not_asked_for_write_no_media(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", {"image": [image_bytes("red"), image_bytes("blue")], "label": ["a", "b"]})
    read(file, cache=str(tmp_path / "media"), held_out_labels=("a",))
    assert len([path for path in (tmp_path / "media").rglob("*") if path.is_file()]) == 1


def test_parquet_shards_and_splits(tmp_path: Path) -> None:
    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001", "test-00000-of-00001"):
        parquet(tmp_path / f"{name}.parquet", {"query": [f"{name} {row}" for row in range(3)], "positive": [["p", "q"]] * 3})
    assert [pair.item for pair in read(tmp_path)] == [
        f"train-0000{shard}-of-00002 {row}" for shard in (0, 1) for row in range(3)
    ]
    assert {pair.item[:10] for pair in read(tmp_path, split="dev")} == {"validation"}
    assert {pair.item[:4] for pair in read(tmp_path, split="test")} == {"test"}
    assert len(read(tmp_path / "train-{00000..00001}-of-00002.parquet")) == 6
    assert read(tmp_path)[0].positives == (text("p"), text("q"))


def test_a_damaged_parquet_file_does_not_stop_the_others(tmp_path: Path) -> None:
    for name in "abc":
        parquet(tmp_path / f"{name}.parquet", {"query": [name * 30] * 4, "positive": ["p"] * 4})
    (tmp_path / "b.parquet").write_bytes(b"PAR1 nothing")
    pairs, ((where, _),) = read_with_bad(tmp_path)
    assert len(pairs) == 8
    assert where == f"{tmp_path / 'b.parquet'}, after row 0"
    (tmp_path / "a.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.parquet is no parquet file"):
        open_source(spec(tmp_path))


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = parquet(tmp_path / "a.parquet", {"query": ["q"], "positive": ["p"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'panvec\[parquet\]'"):
        open_source(spec(file))


def test_paths_in_parquet_only_where_their_folder_is_named(tmp_path: Path) -> None:
    write(tmp_path / "photos/a.png", image_bytes())
    file = parquet(tmp_path / "a.parquet", {"image": ["a.png"], "text": ["words"]})
    assert read(file)[0].query == text("a.png")
    assert read(file, media={"image": "photos"})[0].query == (("image", str(tmp_path / "photos/a.png")),)
    file = parquet(tmp_path / "b.parquet", {"photo": ["a.png", "../a.parquet"], "text": ["words"] * 2})
    (pair,), ((_, why),) = read_with_bad(file, query=("photo",), media={"photo": "photos"})
    assert pair.query == (("image", str(tmp_path / "photos/a.png")),)
    assert "outside" in why


# --- WebDataset ------------------------------------------------------------------------------------------------------


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], kind: int = tarfile.PAX_FORMAT) -> Path:
    """A tar of headers and data just as they are given, however wrong."""
    blocks = [info.tobuf(kind) + data + bytes(-len(data) % 512) for info, data in members]
    write(path, b"".join(blocks) + bytes(1024))
    return path


def sample(key: str, words: str = "words", colour: str = "red") -> list[tuple[tarfile.TarInfo, bytes]]:
    return [member(f"{key}.png", image_bytes(colour)), member(f"{key}.txt", words.encode())]


def test_samples_of_a_tar(tmp_path: Path) -> None:
    red, sound = image_bytes("red"), wav_bytes()
    members = [
        member("./", type=tarfile.DIRTYPE),
        *[
            member(f"./x/1.{suffix}", data)
            for suffix, data in (("PNG", red), ("json", b'{"caption": "in json", "n": 1}'), ("cls", b"dog\n"))
        ],
        *[member(f"./x/2.{suffix}", data) for suffix, data in (("wav", sound), ("txt", "\ufeffgrün ".encode()))],
        *[
            member(f"./y/1.{suffix}", data)
            for suffix, data in (("png", image_bytes("blue")), ("depth.png", red), ("txt", b"third"))
        ],
    ]
    file = tar(tmp_path / "a.tar", members)
    pairs = read(file, query=("image",), positives=("caption", "label", "text", "depth.png"), only={"__key__": ("x/1", "y/1")})
    assert [pair.item for pair in pairs] == ["x/1", "y/1"]
    assert [values(pair.positives) for pair in pairs] == [[("in json",), ("dog",)], [("third",), (f"{_sha(red)}.png",)]]
    (heard,) = read(file, query=("audio",), positives=("text",), only={"__key__": ("x/2",)})
    assert heard.query[0][0] == "audio"
    assert heard.positives == (text("grün"),)


def test_shards_and_their_order(tmp_path: Path) -> None:
    for number in range(9, 12):
        tar(tmp_path / f"part-{number:03d}.tar", sample(f"s{number}"))
    pattern = tmp_path / "part-{009..011}.tar"
    assert [pair.item for pair in read(pattern)] == ["s9", "s10", "s11"]
    assert [pair.item for pair in read(tmp_path)] == ["s9", "s10", "s11"]
    with pytest.raises(InputError, match=r"1 of 4 files are missing, the first is .*part-012"):
        open_source(spec(tmp_path / "part-{009..012}.tar"))
    with pytest.raises(InputError, match="counts down"):
        open_source(spec(tmp_path / "part-{9..0}.tar"))
    with pytest.raises(InputError, match="stands for 1,000,000,000 files"):
        open_source(spec(tmp_path / "{0..999999}-{0..999}.tar"))


@given(st.integers(0, 3), st.integers(0, 12), st.integers(0, 3), st.integers(1, 4))
def test_patterns_are_all_their_names(
    tmp_path_factory: pytest.TempPathFactory, first: int, more: int, other: int, width: int
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    names = [f"{a:0{width}d}-x-{b}.tar" for a in range(first, first + more + 1) for b in range(other + 1)]
    for name in names:
        (folder / name).touch()
    pattern = f"{{{first:0{width}d}..{first + more:0{width}d}}}-x-{{0..{other}}}.tar"
    assert [path.name for path in shards(folder / pattern, ".tar")] == names


def test_a_hostile_tar_leaves_nothing_outside_and_stops_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    members = [
        *sample("first"),
        member("../evil.png", image_bytes()),
        member("/etc/evil.txt", b"words"),
        member("a/../../evil.txt", b"words"),
        member("link.png", type=tarfile.SYMTYPE, linkname=str(secret)),
        member("hard.txt", type=tarfile.LNKTYPE, linkname=str(secret)),
        member("pipe.txt", type=tarfile.FIFOTYPE),
        member("disk.png", type=tarfile.BLKTYPE, devmajor=8),
        member("zero.png", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        member(".png", image_bytes()),
        *sample("twice", colour="blue"),
        member("twice.jpg", image_bytes("red", "JPEG")),
        *sample("../../../escape"),
        member("half.png", image_bytes()),
        member("json.png", image_bytes()),
        member("json.json", b"[" * 50_000),
        member("latin.txt", b"\xff\xfe\xff"),
        *sample("last"),
    ]
    file = tar(tmp_path / "in/a.tar", members)
    pairs, bad = read_with_bad(file, cache=str(tmp_path / "media"))
    assert [pair.item for pair in pairs] == ["first", "last"]
    expected = ["leaves the tar"] * 3 + [
        "symbolic link",
        "hard link",
        "a pipe",
        "no ordinary file",
        "no ordinary file",
        "no key",
    ]
    expected += ["two members give image", "leaves the tar", "leaves the tar", "no answer in text", "its json", "its txt"]
    assert sorted(word for _, why in bad for word in set(expected) if word in why) == sorted(expected)
    outside = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert outside == {"secret.txt", "a.tar", f"{_sha(image_bytes())}.png"}


@pytest.mark.parametrize("size", [10_000, 8**11 - 1, 2**62])
def test_a_member_that_says_it_is_huge(tmp_path: Path, size: int) -> None:
    (huge, _) = member("huge.png", b"x" * 600)
    huge.size = size
    members = [*sample("first"), *sample("second"), (huge, b"x" * 600), *sample("never")]
    tar(tmp_path / "a.tar", members, tarfile.GNU_FORMAT)
    tar(tmp_path / "b.tar", sample("next"))
    pairs, bad = read_with_bad(tmp_path, medium_bytes=5_000)
    assert [pair.item for pair in pairs] == ["first", "next"]
    assert [where.rpartition(", ")[2] for where, _ in bad] == ["sample second", "after 'second.txt'"]
    assert f"{size:,} bytes, more than there are" in bad[1][1]


def test_a_member_over_the_limit_is_passed_over(tmp_path: Path) -> None:
    tar(
        tmp_path / "a.tar",
        [*sample("first"), member("large.png", bytes(20_000_000)), member("large.txt", b"x"), *sample("last")],
    )
    reader = open_source(spec(tmp_path / "a.tar", medium_bytes=5_000))
    tracemalloc.start()
    with pytest.warns(BadRowsWarning, match="sample large: over the limit of 5,000 bytes"):
        assert [pair.item for pair in reader] == ["first", "last"]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5_000_000


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_that_says_it_is_huge(tmp_path: Path, kind: bytes) -> None:
    (header, data) = member("header", bytes(30_000_000), type=kind)
    tar(tmp_path / "a.tar", [*sample("first"), *sample("second"), (header, data), *sample("never")])
    reader = open_source(spec(tmp_path / "a.tar"))
    tracemalloc.start()
    with pytest.warns(BadRowsWarning, match="a header says 30,000,000 bytes"):
        assert [pair.item for pair in reader] == ["first"]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5_000_000


def test_a_sparse_member_is_not_unfolded(tmp_path: Path) -> None:
    records = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(2**40), "GNU.sparse.numblocks": "1"}
    sparse, data = member("sparse.txt", b"x" * 512)
    sparse.pax_headers = records | {"GNU.sparse.map": "0,512"}
    tar(tmp_path / "a.tar", [*sample("first"), (sparse, data), *sample("last")])
    pairs, ((_, why),) = read_with_bad(tmp_path / "a.tar")
    assert [pair.item for pair in pairs] == ["first", "last"]
    assert "no ordinary file" in why


@pytest.mark.parametrize("keep", range(0, 4_000, 300))
def test_a_tar_that_is_cut_off_is_said_to_be(tmp_path: Path, keep: int) -> None:
    whole = tar(tmp_path / "b.tar", [pair for number in range(2) for pair in sample(f"s{number}")]).read_bytes()
    tar(tmp_path / "a.tar", sample("first"))
    (tmp_path / "b.tar").write_bytes(whole[: min(keep, len(whole) - 1100)])
    pairs, bad = read_with_bad(tmp_path)
    assert [pair.item for pair in pairs][:1] == ["first"]
    assert any("the rest of the tar cannot be read" in why for _, why in bad)


def test_damage_in_the_middle_is_no_end(tmp_path: Path) -> None:
    file = tar(tmp_path / "a.tar", [*sample("first"), *sample("second"), member("damaged.txt", b"x" * 512), *sample("never")])
    data = bytearray(file.read_bytes())
    data[data.index(b"damaged.txt") + 148] ^= 0xFF
    file.write_bytes(data)
    pairs, ((where, _), (_, why)) = read_with_bad(file)
    assert [pair.item for pair in pairs] == ["first"]
    assert where.endswith("sample second")
    assert "damaged or cut off" in why


@given(st.binary(max_size=2_000), st.integers(0, 3_000))
def test_no_bytes_stop_a_reader_but_with_our_error(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int) -> None:
    folder = tmp_path_factory.mktemp("noise")
    tar(folder / "a.tar", sample("first"))
    damaged = bytearray(tar(folder / "b.tar", [*sample("second"), *sample("third")]).read_bytes())
    damaged[at : at + len(noise)] = noise
    (folder / "b.tar").write_bytes(damaged)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BadRowsWarning)
        pairs = list(open_source(spec(folder, cache=str(folder / "media"))))
    assert pairs[0].item == "first"


def test_a_tar_has_no_compression(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz") as archive:
        archive.addfile(*next((info, io.BytesIO(data)) for info, data in sample("a")))
    with pytest.raises(InputError, match="cannot be read"):
        open_source(spec(tmp_path / "a.tar"))


# --- Hugging Face ----------------------------------------------------------------------------------------------------


def test_a_folder_that_datasets_loads(tmp_path: Path) -> None:
    red = image_bytes()
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    columns = {"image": [{"bytes": red, "path": None}, {"bytes": b"nothing", "path": None}], "label": [1, 0]}
    parquet(tmp_path / "ds/train-0.parquet", columns, features)
    parquet(tmp_path / "ds/validation-0.parquet", {"image": columns["image"][:1], "label": [0]}, features)
    (pair,), ((where, why),) = read_with_bad(tmp_path / "ds", format="huggingface", templates=("a {}",))
    assert values((pair.query, *pair.positives)) == [(f"{_sha(red)}.png",), ("a dog",)]
    assert (where, "of no known type" in why) == ("train, row 2", True)
    (dev,) = read(tmp_path / "ds", format="huggingface", split="dev")
    assert (dev.split, values(dev.positives)) == ("dev", [("cat",)])


def test_a_folder_of_json_lines_by_datasets(tmp_path: Path) -> None:
    json_lines(tmp_path / "ds/data.jsonl", [{"query": f"q{n}", "positive": f"p{n}", "more": n} for n in range(30)])
    pairs = read(tmp_path / "ds", format="huggingface", limit=3)
    assert [(pair.query, pair.positives) for pair in pairs] == [(text(f"q{n}"), (text(f"p{n}"),)) for n in range(3)]
    assert len(read(tmp_path / "ds", format="huggingface", split="dev", dev_share=0.4)) == sum(
        share_of(f"q{n}") < 0.4 for n in range(30)
    )
    with pytest.raises(InputError, match="no column 'third': it has query, positive, more"):
        open_source(spec(tmp_path / "ds", format="huggingface", positives=("third",)))


def test_a_folder_that_datasets_saved(tmp_path: Path) -> None:
    import datasets

    columns = {"query": ["a", "b"], "positive": ["x", "y"]}
    datasets.Dataset.from_dict(columns).save_to_disk(tmp_path / "one")
    datasets.DatasetDict(validation=datasets.Dataset.from_dict(columns)).save_to_disk(tmp_path / "dict")
    assert [pair.item for pair in read(tmp_path / "one")] == ["a", "b"]
    assert [pair.split for pair in read(tmp_path / "dict", split="dev")] == ["dev", "dev"]


def test_the_hub_only_where_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="allow_network permits the hub"):
        open_source(SourceSpec(path="someone/something", format="huggingface"))
    with pytest.raises(InputError, match="format: huggingface and allow_network"):
        open_source(SourceSpec(path="someone/something"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="cannot be loaded"):
        open_source(spec(tmp_path / "empty", format="huggingface"))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'panvec\[train\]'"):
        open_source(SourceSpec(path="someone/something", format="huggingface", allow_network=True))


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


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
