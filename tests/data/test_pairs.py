import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_media import image_bytes, json_lines, wav_bytes, write

from panvec.content import Audio, Image, Text
from panvec.data.pairs import FILE, Pair, content, read_pairs, text, write_pairs
from panvec.errors import InputError

ROW = {"item": "a", "query": ["q"], "positives": [["p"]]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "a/7.png", image_bytes())
    write(tmp_path / "a/7.wav", wav_bytes())
    return tmp_path


def test_a_round_trip_keeps_everything(folder: Path) -> None:
    image, audio = ("image", str((folder / "a/7.png").resolve())), ("audio", str((folder / "a/7.wav").resolve()))
    pairs = [
        Pair("a-7", (image, ("text", "and"), audio), (text("one"), (audio,)), (text("no"),), "dev", "de"),
        Pair("a-8", text("q"), (text("p"),)),
    ]
    assert write_pairs(folder, pairs) == 2
    assert list(read_pairs(folder, None)) == pairs
    assert [pair.item for pair in read_pairs(folder)] == ["a-8"]
    assert [pair.item for pair in read_pairs(folder, "dev")] == ["a-7"]
    stored = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    assert stored[0]["query"] == [{"image": "a/7.png"}, "and", {"audio": "a/7.wav"}]
    assert stored[1] == {"item": "a-8", "query": ["q"], "positives": [["p"]]}


def test_a_side_as_a_content(folder: Path) -> None:
    parts = list(content((("text", "hear"), ("audio", str(folder / "a/7.wav")), ("image", str(folder / "a/7.png")))))
    assert [type(part) for part in parts] == [Text, Audio, Image]


writable = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(
    st.lists(st.builds(Pair, writable, writable.map(text), st.tuples(writable.map(text)), st.just(()), writable), max_size=4)
)
@settings(max_examples=40, deadline=None)
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, pairs: list[Pair]) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder, pairs)
    assert list(read_pairs(folder, None)) == pairs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item": None, "query": "bare"}, "a side is a list"),
        ({"query": []}, "a side is a list"),
        ({"positives": []}, "no positives"),
        ({"positives": [["p"], []]}, "a side is a list"),
        ({"query": [{"smell": "a"}]}, "unknown modality"),
        ({"query": [{"image": "../../etc/passwd"}]}, "outside the folder"),
        ({"query": [{"image": "/etc/passwd"}]}, "outside the folder"),
        ({"query": [{"image": 7}]}, "give a string"),
        ({"query": [{"text": 7}]}, "give a string"),
        ({"query": [{"image": "a", "audio": "b"}]}, "too many values"),
        ({"query": [7]}, "int"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    json_lines(tmp_path / FILE, [ROW, ROW | change])
    with pytest.raises(InputError, match=message) as error:
        list(read_pairs(tmp_path))
    assert "line 2" in str(error.value)


@pytest.mark.parametrize("line", ["{", "[]", "7", '"text"', "[" * 100_000, '{"item": "a"}'])
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str) -> None:
    json_lines(tmp_path / FILE, [ROW, line])
    with pytest.raises(InputError, match="line 2"):
        list(read_pairs(tmp_path))


def test_no_file() -> None:
    with pytest.raises(InputError, match=FILE):
        list(read_pairs(Path("/nowhere")))


@pytest.mark.parametrize(("query", "message"), [((("image", "/etc/hostname"),), "outside"), (text("\ud83d"), "surrogate")])
def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path, query: tuple[tuple[str, str]], message: str) -> None:
    write_pairs(tmp_path, [Pair("old", text("q"), (text("p"),))])
    with pytest.raises(InputError, match=message):
        write_pairs(tmp_path, [Pair("new", text("q"), (text("p"),)), Pair("bad", query, (text("p"),))])
    assert [pair.item for pair in read_pairs(tmp_path)] == ["old"]
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
