"""What each command prints and how it ends: real media, the real model, in one process."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import typer

from panvec import Content, Embedder, Image, Text
from panvec.cli.app import app


def commands(group: object, *path: str) -> Iterator[tuple[str, ...]]:
    """The words of every command, those in groups too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


def test_search_ranks_caches_and_notices_changes(run, folder: Path, media: Path) -> None:
    first = run("search", "a dog catching a ball", folder, "--kind", "image", "--json")
    assert first.code == 0, first.err
    found = json.loads(first.out)
    assert found["embedded"] == 5
    assert found["hits"][0]["file"].endswith("dog-ball.jpg")
    assert {hit["kind"] for hit in found["hits"]} == {"image"}
    assert list(found["errors"]) == ["broken.png"]
    assert json.loads(run("search", "a dog", folder, "--json").out)["embedded"] == 0
    assert json.loads(run("search", "a dog", folder, "--json", "--refresh").out)["embedded"] == 5
    assert json.loads(run("search", "a dog", folder, "--json", "--no-cache").out)["embedded"] == 5
    shutil.copy(media / "rocket.jpg", folder / "coffee-cup.jpg")
    (folder / "pancakes.md").unlink()
    changed = json.loads(run("search", "a dog", folder, "--json").out)
    assert changed["embedded"] == 1
    assert not any("pancakes" in hit["file"] for hit in changed["hits"])


def test_search_says_where_and_takes_files_and_mixes(run, folder: Path, media: Path) -> None:
    shutil.copy(media / "radio-history.pdf", folder)
    table = run("search", "the first transatlantic radio signal", folder)
    assert "page" in table.out
    assert "broken.png" in table.err
    by_file = json.loads(run("search", folder / "dog-ball.jpg", folder, "--json").out)
    assert by_file["hits"][0]["file"].endswith("dog-ball.jpg")
    mixed = run("search", "--text", "a hot", "--image", folder / "coffee-cup.jpg", folder, "--json")
    assert json.loads(mixed.out)["hits"][0]["file"].endswith("coffee-cup.jpg")


def test_a_table_in_a_pipe_has_a_line_for_each_file(run, folder: Path) -> None:
    long = f"{'long ' * 40}name.jpg"
    (folder / "dog-ball.jpg").rename(folder / long)
    _, *rows = run("search", "a dog", folder).out.splitlines()
    assert len(rows) == 4
    assert sum(long in row for row in rows) == 1


def test_a_mix_keeps_the_order_of_the_command_line(run, folder: Path, embedder: Embedder) -> None:
    picture = folder / "dog-ball.jpg"
    parts = {"--text=one": Text("one"), f"--image={picture}": Image(picture), "--text=two": Text("two")}
    for order in (list(parts), list(parts)[::-1]):
        found = json.loads(run("search", *order, folder, "--kind", "image", "--json", "-k", 1).out)
        query = embedder.embed(Content(*(parts[option] for option in order)), task="search query")[0]
        document = embedder.embed(Path(found["hits"][0]["file"]), task="document")[0]
        assert found["hits"][0]["score"] == pytest.approx(float(query @ document), abs=1e-4)


def test_a_damaged_cache_is_said_and_made_anew(run, folder: Path, tmp_path: Path) -> None:
    run("search", "a dog", folder)
    (cached,) = (tmp_path / "cache").glob("*.npz")
    cached.write_bytes(b"not an archive")
    again = run("search", "a dog", folder, "--json")
    assert json.loads(again.out)["embedded"] == 5
    assert again.err.startswith(f"panvec: the stored vectors in {cached} are damaged")
    assert run("search", "a dog", folder, "--json").err == ""


def test_json_is_one_document_and_notes_are_beside_it(run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    found = run("search", "no-such-file.jpg", folder, "--json")
    assert list(json.loads(found.out)) == ["space_id", "embedded", "hits", "errors"]
    lines = found.err.splitlines()
    assert len(lines) == 2
    assert "no-such-file.jpg: taken as text" in lines[0]
    assert "cannot be kept" in lines[1]
    for arguments in (
        ("similarity", "no-such-file.jpg", "b"),
        ("info", folder / "dog-ball.jpg"),
        ("models",),
        ("embed", folder, "--out", tmp_path / "all.npy"),
    ):
        json.loads(run(*arguments, "--json").out)


@pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".parquet"])
def test_embed_writes_the_vectors_of_the_embedder(run, folder: Path, tmp_path: Path, embedder: Embedder, suffix: str) -> None:
    out = tmp_path / f"vectors{suffix}"
    inputs = ["a red bicycle", folder / "dog-bark.ogg"]
    done = run("embed", *inputs, folder / "broken.png", "--dim", 64, "--task", "document", "--out", out, "--json")
    assert done.code == 1
    report = json.loads(done.out)
    assert (report["out"], report["vectors"], report["space_id"]) == (str(out), 2, embedder.space_id)
    assert [error["input"] for error in report["errors"]] == [str(folder / "broken.png")]
    assert "broken.png" in done.err
    names, vectors, space_ids = read(out)
    assert names == [str(item) for item in inputs]
    assert space_ids == {embedder.space_id}
    np.testing.assert_allclose(vectors, embedder.embed(inputs, task="document", dim=64), atol=1e-6)


def read(out: Path) -> tuple[list[str], np.ndarray, set[str]]:
    if out.suffix == ".npy":
        beside = json.loads(out.with_suffix(".names.json").read_text())
        return beside["names"], np.load(out), {beside["space_id"]}
    if out.suffix == ".parquet":
        rows = pyarrow.parquet.read_table(out).to_pylist()
    else:
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    return [row["input"] for row in rows], np.array([row["vector"] for row in rows]), {row["space_id"] for row in rows}


@pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".parquet"])
@pytest.mark.parametrize("precision", ["int8", "binary"])
def test_embed_keeps_small_numbers(run, tmp_path: Path, embedder: Embedder, suffix: str, precision: str) -> None:
    out = tmp_path / f"vectors{suffix}"
    assert run("embed", "one", "two", "--precision", precision, "--out", out).code == 0
    np.testing.assert_array_equal(read(out)[1], embedder.embed(["one", "two"], precision=precision))


@pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".parquet"])
def test_embed_writes_more_than_a_batch_in_order(run, tmp_path: Path, embedder: Embedder, suffix: str) -> None:
    texts = [f"number {number}" for number in range(40)]
    (tmp_path / "texts.txt").write_text("\ufeff" + "\n\n".join(texts), encoding="utf-8")
    out = tmp_path / f"vectors{suffix}"
    assert run("embed", "--text-file", tmp_path / "texts.txt", "--out", out).code == 0
    names, vectors, _ = read(out)
    assert names == texts
    np.testing.assert_allclose(vectors, embedder.embed(texts), atol=1e-5)


def test_embed_prints_a_line_for_each_input_of_a_folder(run, folder: Path) -> None:
    done = run("embed", folder)
    assert done.code == 1
    rows = [json.loads(line) for line in done.out.splitlines()]
    expected = ["coffee-cup.jpg", "dog-ball.jpg", "dog-bark.ogg", "pancakes.md"]
    assert [Path(row["input"]).name for row in rows] == expected
    assert "not embedded" in done.err


def test_embed_takes_an_empty_text_as_text(run, embedder: Embedder, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (row,) = map(json.loads, run("embed", "").out.splitlines())
    assert row["input"] == ""
    np.testing.assert_allclose(row["vector"], embedder.embed("")[0], atol=1e-6)


def test_similarity_info_and_models(run, folder: Path, media: Path, embedder: Embedder) -> None:
    assert json.loads(run("similarity", "a dog", "a dog", "--json").out)["cosine"] == pytest.approx(1, abs=1e-4)
    a, b = embedder.embed(["a dog", folder / "dog-ball.jpg"], task="similarity")
    assert float(run("similarity", "a dog", folder / "dog-ball.jpg").out) == pytest.approx(float(a @ b), abs=1e-3)
    described = json.loads(run("info", media / "radio-history.pdf", "--json").out)
    assert described["parts"][0]["kind"] == "document"
    assert described["windows"] >= 1
    assert f"{described['tokens']} tokens with the prompt" in run("info", media / "radio-history.pdf").out
    assert "nano" in run("models").out
    assert run("--version").out.startswith("panvec ")


@pytest.mark.parametrize("command", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_help_shows_an_example(run, command: tuple[str, ...]) -> None:
    shown = run(*command, "--help")
    assert shown.code == 0
    lines = [line.strip() for line in shown.out.splitlines()]
    assert {"Example:", "Examples:"} & set(lines)
    assert any(line.startswith(" ".join(("panvec", *command))) for line in lines)
    assert command[0] in run("--help").out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("search", "a dog", "{}/nowhere"), "nowhere"),
        (("search", "a dog", "{}/dog-ball.jpg"), "dog-ball.jpg"),
        (("search", "{}/broken.png", "{}"), "broken.png"),
        (("search", "--image", "{}/missing.png", "{}"), "missing.png"),
        (("similarity", "a dog", "{}/broken.png"), "broken.png"),
        (("embed", "{}/broken.png"), "broken.png"),
        (("embed", "--text-file", "{}/missing.txt"), "missing.txt"),
        (("embed", "--text-file", "{}/dog-ball.jpg"), "dog-ball.jpg"),
        (("info", "{}/missing.png"), "missing.png"),
        (("info", "{}/broken.png"), "broken.png"),
        (("info", "{}"), "things"),
    ],
)
def test_an_error_is_a_line_that_names_the_input(run, folder: Path, arguments: tuple[str, ...], named: str) -> None:
    failed = run(*(argument.format(folder) for argument in arguments))
    assert (failed.code, failed.out) == (1, "")
    (line,) = failed.err.splitlines()
    assert line.startswith("panvec: ")
    assert named in line


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("search",),
        ("search", "a dog"),
        ("search", "a dog", "{}", "--text", "another"),
        ("search", "a dog", "{}", "--kind", "smell"),
        ("search", "a dog", "{}", "--count", "0"),
        ("search", "a dog", "{}", "--threads", "0"),
        ("embed",),
        ("embed", "a dog", "--task", "nonsense"),
        ("embed", "a dog", "--dim", "7"),
        ("embed", "a dog", "--precision", "float7"),
        ("embed", "a dog", "--out", "{}/vectors.csv"),
        ("embed", "a dog", "--out", "{}/nowhere/vectors.npy"),
        ("embed", "a dog", "--out", "{}/folder.npy"),
        ("similarity", "a dog"),
        ("info",),
    ],
)
def test_a_wrong_call_exits_2(run, folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "folder.npy").mkdir()
    wrong = run(*(argument.format(folder) for argument in arguments))
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err


def test_names_of_any_bytes_stay_on_their_line(run, tmp_path: Path, media: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    odd = os.fsdecode(b"caf\xe9\n\x1b[31m")
    shutil.copy(media / "rocket.jpg", folder / f"{odd}.jpg")
    (folder / f"{odd}.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    found = run("search", "a rocket", folder)
    assert found.code == 0
    _, row = found.out.splitlines()
    assert r"caf\udce9\n\x1b[31m.jpg" in row
    (line,) = found.err.splitlines()
    assert r"caf\udce9\n\x1b[31m.png" in line
    as_json = json.loads(run("search", "a rocket", folder, "--json").out)
    assert as_json["hits"][0]["file"] == str(folder / f"{odd}.jpg")
