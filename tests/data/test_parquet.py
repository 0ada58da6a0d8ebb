"""Parquet files, and what the Hugging Face libraries load and save."""

import io
import json
import sys
from pathlib import Path

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import read, read_with_bad, sha, spec, values
from small_media import image_bytes, json_lines, wav_bytes, write

from panvec.data.pairs import text
from panvec.data.readers import BadRowsWarning, SourceSpec, open_source, share_of
from panvec.errors import InputError


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
    assert first.query == (("image", str(cache / f"panvec/media/{sha(red)[:2]}/{sha(red)}.png")),)
    assert Path(first.query[0][1]).read_bytes() == red
    assert first.item == sha(red)[:32]
    assert values(first.positives) == [("cat",), (f"{sha(sound)}.wav",)]
    assert first.positives[1][0][0] == "audio"
    assert values((second.query, *second.positives)) == [(f"{sha(blue)}.jpg",), ("dog",)]


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
    assert names == {f"{sha(data)}.{suffix}" for data, suffix in [(media[-1], "png"), (media[-2], "png"), (media[3], "wav")]}


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


def test_a_folder_that_datasets_loads(tmp_path: Path) -> None:
    red = image_bytes()
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    columns = {"image": [{"bytes": red, "path": None}, {"bytes": b"nothing", "path": None}], "label": [1, 0]}
    parquet(tmp_path / "ds/train-0.parquet", columns, features)
    parquet(tmp_path / "ds/validation-0.parquet", {"image": columns["image"][:1], "label": [0]}, features)
    (pair,), ((where, why),) = read_with_bad(tmp_path / "ds", format="huggingface", templates=("a {}",))
    assert values((pair.query, *pair.positives)) == [(f"{sha(red)}.png",), ("a dog",)]
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
