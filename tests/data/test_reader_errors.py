"""Bad rows are named and stop nothing; what means nothing is refused."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError
from reading import labels, read, read_with_bad, spec
from small_media import json_lines

from panvec.data.pairs import Pair, text
from panvec.data.readers import BadRowsWarning, Reader, SourceSpec, open_source
from panvec.errors import InputError

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
