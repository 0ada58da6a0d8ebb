"""The command line as a person runs it: real processes, real media, the real model."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

COMMAND = [sys.executable, "-c", "from panvec.cli import main; main()"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PANVEC_CACHE", str(tmp_path / "cache"))

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)

    return call


@pytest.fixture
def folder(tmp_path: Path, media: Path) -> Path:
    target = tmp_path / "things"
    target.mkdir()
    for name in ("dog-ball.jpg", "coffee-cup.jpg", "dog-bark.ogg", "pancakes.md", "radio-history.pdf"):
        shutil.copy(media / name, target)
    (target / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    return target


def test_search_ranks_caches_and_notices_changes(run, folder: Path, media: Path) -> None:
    first = run("search", "a dog catching a ball", folder, "--kind", "image", "--json")
    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    assert found["embedded"] == 6
    assert found["hits"][0]["file"].endswith("dog-ball.jpg")
    assert list(found["errors"]) == ["broken.png"]
    assert json.loads(run("search", "a dog", folder, "--json").stdout)["embedded"] == 0
    shutil.copy(media / "rocket.jpg", folder / "coffee-cup.jpg")
    (folder / "pancakes.md").unlink()
    changed = json.loads(run("search", "a dog", folder, "--json").stdout)
    assert changed["embedded"] == 1
    assert not any("pancakes" in hit["file"] for hit in changed["hits"])


def test_search_says_where_and_takes_files_and_mixes(run, folder: Path) -> None:
    table = run("search", "the first transatlantic radio signal", folder)
    assert "page" in table.stdout
    assert "broken.png" in table.stderr
    by_file = json.loads(run("search", folder / "dog-ball.jpg", folder, "--json").stdout)
    assert by_file["hits"][0]["file"].endswith("dog-ball.jpg")
    mixed = run("search", "--text", "a hot", "--image", folder / "coffee-cup.jpg", folder, "--json")
    assert json.loads(mixed.stdout)["hits"][0]["file"].endswith("coffee-cup.jpg")


def test_a_damaged_cache_is_made_anew(run, folder: Path, tmp_path: Path) -> None:
    run("search", "a dog", folder)
    (cached,) = (tmp_path / "cache").glob("*.npz")
    cached.write_bytes(b"not an archive")
    again = run("search", "a dog", folder, "--json")
    assert json.loads(again.stdout)["embedded"] == 6


@pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".parquet"])
def test_embed_writes_every_format(run, folder: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"vectors{suffix}"
    done = run("embed", "a red bicycle", folder / "dog-bark.ogg", folder / "broken.png", "--dim", "64", "--out", out)
    assert done.returncode == 1
    assert "broken.png" in done.stderr
    if suffix == ".npy":
        vectors = np.load(out)
    elif suffix == ".jsonl":
        vectors = np.array([json.loads(line)["vector"] for line in out.read_text().splitlines()])
    else:
        parquet = pytest.importorskip("pyarrow.parquet", reason="panvec[parquet] is not installed")
        vectors = np.stack(parquet.read_table(out)["vector"].to_pylist())
    assert vectors.shape == (2, 64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_similarity_info_models_and_errors(run, folder: Path) -> None:
    same = json.loads(run("similarity", "a dog", "a dog", "--json").stdout)
    assert same["cosine"] == pytest.approx(1, abs=1e-4)
    described = json.loads(run("info", folder / "radio-history.pdf", "--json").stdout)
    assert described["parts"][0]["kind"] == "document"
    assert described["windows"] >= 1
    assert "nano" in run("models").stdout
    assert "Examples" in run("search", "--help").stdout
    wrong = run("search", "a dog", folder / "nowhere")
    assert wrong.returncode == 1
    assert "nowhere" in wrong.stderr
    assert "Traceback" not in wrong.stderr
