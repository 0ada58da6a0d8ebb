"""The file of a folder's vectors: what goes in comes out, and what is damaged is never used."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from panvec import Embedder, Span
from panvec.collections.store import Entry, Store, default_cache

SAVE_FOR_EVER = """
import sys
from pathlib import Path
import numpy as np
from panvec import Embedder, Span
from panvec.collections.store import Entry, Store
store = Store(Path(sys.argv[1]), Path("/things"), Embedder(threads=1))
number = 0
while True:
    number += 1
    spans = [Span("seconds", start, number) for start in range(4000)]
    store.save({"a.wav": Entry(1, 2, "audio", spans, np.full((4000, 384), number, np.float32))})
    print(number, flush=True)
"""


def entries() -> dict[str, Entry]:
    vectors = np.random.default_rng(0).standard_normal((3, 384)).astype(np.float32)
    pages = [Span("page", 1, 1), Span("page", 2, 2)]
    return {
        "paper.pdf": Entry(10, 11, "document", pages, vectors[:2]),
        "broken.png": Entry(20, 21, "", [], np.empty((0, 384), np.float32), error="is damaged"),
        os.fsdecode(b"caf\xe9\n.jpg"): Entry(30, 31, "image", [Span("whole")], vectors[2:]),
    }


@pytest.fixture
def store(tmp_path: Path, embedder: Embedder) -> Store:
    return Store(tmp_path / "new" / "cache", Path("/things"), embedder)


def assert_same(found: dict[str, Entry], expected: dict[str, Entry]) -> None:
    assert list(found) == list(expected)
    for name, entry in expected.items():
        np.testing.assert_array_equal(found[name].vectors, entry.vectors)
        assert found[name].vectors.dtype == np.float32
        assert vars(found[name]) | {"vectors": None} == vars(entry) | {"vectors": None}


def test_what_is_saved_is_loaded(store: Store) -> None:
    assert store.load() == ({}, None)
    assert store.save(entries()) is None
    loaded, note = store.load()
    assert note is None
    assert_same(loaded, entries())
    assert store.save({}) is None
    assert store.load() == ({}, None)


def test_folders_and_spaces_have_files_of_their_own(tmp_path: Path, embedder: Embedder) -> None:
    stores = [Store(tmp_path, Path(root), embedder) for root in ("/things", "/things/sub", "/other")]
    assert len({store.path for store in stores}) == 3
    assert Store(tmp_path, Path("/things"), embedder).path == stores[0].path


@pytest.mark.parametrize("damage", ["empty", "text", "half", "flipped", "zeros"])
def test_a_damaged_file_gives_a_note_and_is_replaced(store: Store, damage: str) -> None:
    store.save(entries())
    whole = store.path.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "empty": b"",
        "text": b"not an archive",
        "half": whole[:middle],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
        "zeros": bytes(len(whole)),
    }
    store.path.write_bytes(damaged[damage])
    found, note = store.load()
    assert found == {}
    assert note is not None
    assert str(store.path) in note
    assert "damaged" in note
    assert store.save(entries()) is None
    assert_same(store.load()[0], entries())


@pytest.mark.parametrize(
    ("field", "value"),
    [("version", 0), ("files", []), ("files", {}), ("files", {"a.jpg": {"spans": [{"kind": "whole"}] * 3, "extra": 1}})],
)
def test_a_file_whose_index_does_not_fit_is_not_used(store: Store, field: str, value: object) -> None:
    store.save(entries())
    with np.load(store.path) as stored:
        index, vectors = json.loads(stored["index"].tobytes()), stored["vectors"]
    index[field] = value
    np.savez(store.path, index=np.frombuffer(json.dumps(index).encode(), np.uint8), vectors=vectors)
    found, note = store.load()
    assert found == {}
    assert "damaged or of another version" in str(note)


def test_a_pickle_is_never_loaded(store: Store, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    store.save(entries())
    np.savez(store.path, index=np.array([Trap()]), vectors=np.array([Trap()]))
    assert store.load()[0] == {}
    assert not (tmp_path / "sprung").exists()


def test_a_folder_in_the_place_of_the_file_gives_notes(store: Store) -> None:
    store.path.mkdir(parents=True)
    found, note = store.load()
    assert found == {}
    assert "cannot be read" in str(note)
    assert "cannot be kept" in str(store.save(entries()))
    assert list(store.path.parent.iterdir()) == [store.path]


def test_killed_while_it_saves_the_file_is_whole(tmp_path: Path, embedder: Embedder) -> None:
    store = Store(tmp_path, Path("/things"), embedder)
    command = [sys.executable, "-c", SAVE_FOR_EVER, tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(5):
            assert process.stdout.readline()
        for _ in range(20):
            found, note = store.load()
            assert note is None
            assert len(np.unique(found["a.wav"].vectors)) == 1
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    found, note = store.load()
    assert note is None
    entry = found["a.wav"]
    assert entry.vectors.shape == (4000, 384)
    assert set(entry.vectors[:, 0]) == {entry.spans[0].end}


def test_what_the_killed_left_is_removed_when_old(store: Store) -> None:
    store.save(entries())
    old, fresh, foreign = (
        store.path.parent / name for name in (f"{store.path.stem}.a.new", f"{store.path.stem}.b.new", "c.new")
    )
    for left in (old, fresh, foreign):
        left.touch()
    for left in (old, foreign):
        os.utime(left, (time.time() - 86_400,) * 2)
    store.save(entries())
    assert set(store.path.parent.iterdir()) == {store.path, fresh, foreign}


def test_the_default_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANVEC_CACHE", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_cache() == Path("/own")
    monkeypatch.delenv("PANVEC_CACHE")
    assert default_cache() == Path("/xdg/panvec")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert default_cache() == Path.home() / ".cache" / "panvec"
