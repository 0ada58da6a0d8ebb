"""A folder of real files, embedded by the real model: what is embedded when, what is found where, what stops whom."""

import copy
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import wave
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from panvec import Content, Embedder, Image, MediaError
from panvec.collections.folder import Folder, media_files

T = TypeVar("T")
FILES = ("coffee-cup.jpg", "dog-ball.jpg", "dog-bark.ogg", "pancakes.md")
UPDATE = """
import sys
from pathlib import Path
from typing import TypeVar
from panvec import Embedder
from panvec.collections import folder
folder._SAVE_SECONDS = 0
found = folder.Folder(Path(sys.argv[1]), Embedder(threads=1), Path(sys.argv[2]))
print(found.update(lambda done, of, name: print("at", done, flush=True)), found.notes)
"""


@pytest.fixture
def root(tmp_path: Path, media: Path) -> Path:
    folder = tmp_path / "things"
    (folder / "sub").mkdir(parents=True)
    for name in FILES:
        shutil.copy(media / name, folder)
    shutil.move(folder / "pancakes.md", folder / "sub")
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def embedded(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were given to the model, as they come."""
    names: list[str] = []
    real = embedder.embed_segments

    def counted(part: object, **options: object) -> object:
        names.append(part.source.name)
        return real(part, **options)

    monkeypatch.setattr(embedder, "embed_segments", counted)
    return names


def updated(root: Path, embedder: Embedder, cache: Path | None, **options: object) -> Folder:
    folder = Folder(root, embedder, cache)
    folder.update(**options)
    return folder


def test_a_second_update_embeds_nothing_and_finds_the_same(root: Path, cache: Path, embedder: Embedder, embedded) -> None:
    query = embedder.embed("a dog", task="search query")[0]
    first = updated(root, embedder, cache)
    assert sorted(embedded) == sorted(FILES)
    embedded.clear()
    second = Folder(root, embedder, cache)
    assert second.update() == 0
    assert embedded == []
    assert second.notes == []
    assert second.search(query) == first.search(query)
    assert [hit.path for hit in second.search(query, count=2)] == [hit.path for hit in first.search(query)][:2]
    assert second.update(again=True) == len(FILES)


def test_no_cache_keeps_nothing_on_disk(root: Path, tmp_path: Path, embedder: Embedder) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert len(updated(root, embedder, None).entries) == len(FILES)
    assert Folder(root, embedder, None).entries == {}
    assert sorted(tmp_path.rglob("*")) == before


def test_the_changed_is_embedded_again_and_the_deleted_forgotten(
    root: Path, cache: Path, media: Path, embedder: Embedder, embedded
) -> None:
    updated(root, embedder, cache)
    embedded.clear()
    shutil.copy(media / "rocket.jpg", root / "coffee-cup.jpg")
    shutil.copy(media / "piano.mp3", root / "new.mp3")
    (root / "dog-bark.ogg").unlink()
    folder = updated(root, embedder, cache)
    assert embedded == ["coffee-cup.jpg", "new.mp3"]
    assert set(folder.entries) == {"coffee-cup.jpg", "dog-ball.jpg", "new.mp3", os.path.join("sub", "pancakes.md")}
    rocket = embedder.embed(Image(media / "rocket.jpg"), task="document")[0]
    assert folder.search(rocket)[0].path == "coffee-cup.jpg"
    assert set(Folder(root, embedder, cache).entries) == set(folder.entries)


def test_only_a_deletion_is_saved_too(root: Path, cache: Path, embedder: Embedder) -> None:
    updated(root, embedder, cache)
    (root / "dog-ball.jpg").unlink()
    assert Folder(root, embedder, cache).update() == 0
    assert "dog-ball.jpg" not in Folder(root, embedder, cache).entries


def test_a_failure_keeps_its_error_and_stops_no_other(
    root: Path, cache: Path, media: Path, embedder: Embedder, embedded
) -> None:
    (root / "a-truncated.png").write_bytes((media / "guitar.png").read_bytes()[:2000])
    (root / "an-archive.pdf").write_bytes(b"PK\3\4" + bytes(100))
    (root / "empty.wav").touch()
    shutil.copy(media / "dandelions.jpg", root / "wrongly-named.mp3")
    folder = updated(root, embedder, cache)
    assert list(folder.errors) == ["a-truncated.png", "an-archive.pdf", "empty.wav"]
    assert "truncated" in folder.errors["a-truncated.png"]
    assert "ZIP" in folder.errors["an-archive.pdf"]
    assert "empty" in folder.errors["empty.wav"]
    assert not any(str(root) in reason for reason in folder.errors.values())
    assert folder.entries["wrongly-named.mp3"].kind == "image"
    found = folder.search(embedder.embed("anything")[0], count=100)
    assert len(found) == len(FILES) + 1
    assert not {hit.path for hit in found} & set(folder.errors)

    embedded.clear()
    again = Folder(root, embedder, cache)
    assert again.update() == 0
    assert again.errors == folder.errors
    shutil.copy(media / "guitar.png", root / "a-truncated.png")
    assert again.update() == 1
    assert embedded == ["a-truncated.png"]
    assert list(again.errors) == ["an-archive.pdf", "empty.wav"]


def test_failures_are_tried_again_with_other_packages_or_limits(
    root: Path, cache: Path, tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "empty.wav").touch()
    strict = copy.copy(embedder)
    strict.limits = replace(embedder.limits, image_pixels=100)
    assert list(updated(root, strict, cache).errors) == ["coffee-cup.jpg", "dog-ball.jpg", "empty.wav"]
    assert Folder(root, strict, cache).update() == 0
    wider = Folder(root, embedder, cache)
    assert wider.update() == 3
    assert list(wider.errors) == ["empty.wav"]
    assert Folder(root, embedder, cache).update() == 0
    (tmp_path / "packages" / "decoder-1.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    assert Folder(root, embedder, cache).update() == 1
    assert Folder(root, embedder, cache).update() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="root gives up its rights as Linux lets it")
def test_a_file_that_may_not_be_read_is_tried_again_once_it_may(root: Path, cache: Path, embedder: Embedder) -> None:
    locked = root / "dog-ball.jpg"
    locked.chmod(0)
    denied = powerless(lambda: updated(root, embedder, cache))
    assert list(denied.errors) == ["dog-ball.jpg"]
    assert "Permission denied" in denied.errors["dog-ball.jpg"]
    assert powerless(Folder(root, embedder, cache).update) == 0
    locked.chmod(0o644)
    allowed = Folder(root, embedder, cache)
    assert allowed.update() == 1
    assert allowed.errors == {}


def powerless(call: Callable[[], T]) -> T:
    """The result of `call` in a thread whose user may read only what the permissions of a file allow."""
    results: list[T] = []

    def work() -> None:
        version_3, this_thread = 0x20080522, 0
        header, nothing = (ctypes.c_uint32 * 2)(version_3, this_thread), (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None).capset(header, nothing) == 0
        results.append(call())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return results[0]


def test_the_hidden_the_unknown_and_links_out_are_left_out(root: Path, tmp_path: Path, media: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copy(media / "rocket.jpg", outside)
    for hidden in (".hidden.jpg", ".git/inside.jpg", "sub/.cache/deep/inside.jpg"):
        (root / hidden).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(media / "rocket.jpg", root / hidden)
    (root / "program.exe").write_bytes(b"MZ")
    (root / "no-suffix").write_text("text")
    (root / "folder.jpg").mkdir()
    os.mkfifo(root / "pipe.txt")
    (root / "out.jpg").symlink_to(outside / "rocket.jpg")
    (root / "out-folder").symlink_to(outside)
    (root / "nowhere.jpg").symlink_to(root / "gone.jpg")
    (root / "circle.jpg").symlink_to(root / "circle.jpg")
    (root / "inside.jpg").symlink_to("dog-ball.jpg")
    expected = ["coffee-cup.jpg", "dog-ball.jpg", "dog-bark.ogg", "inside.jpg", os.path.join("sub", "pancakes.md")]
    assert [str(path.relative_to(root)) for path in media_files(root)] == expected


def test_a_root_that_is_a_link_shares_the_cache_of_its_target(
    root: Path, cache: Path, tmp_path: Path, embedder: Embedder
) -> None:
    updated(root, embedder, cache)
    (tmp_path / "link").symlink_to(root)
    assert Folder(tmp_path / "link", embedder, cache).update() == 0


def test_no_folder_is_an_error_that_names_it(root: Path, embedder: Embedder) -> None:
    with pytest.raises(MediaError, match="nowhere is no folder"):
        Folder(root / "nowhere", embedder, None)
    with pytest.raises(MediaError, match="dog-ball.jpg is no folder"):
        Folder(root / "dog-ball.jpg", embedder, None)


@pytest.mark.parametrize("place", ["file", "file/below", "n" * 300])
def test_a_cache_that_cannot_be_written_gives_a_note_and_search_goes_on(
    root: Path, tmp_path: Path, embedder: Embedder, place: str
) -> None:
    (tmp_path / "file").touch()
    folder = updated(root, embedder, tmp_path / place)
    assert any("cannot be kept" in note and "PANVEC_CACHE" in note for note in folder.notes)
    assert len(folder.notes) == len(set(folder.notes))
    assert len(folder.search(embedder.embed("a dog")[0])) == len(FILES)


def test_an_interrupted_update_saves_what_is_done(root: Path, cache: Path, embedder: Embedder, embedded) -> None:
    def interrupt(done: int, of: int, name: str) -> None:
        assert of == len(FILES)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Folder(root, embedder, cache).update(interrupt)
    assert embedded == ["coffee-cup.jpg", "dog-ball.jpg"]
    embedded.clear()
    assert Folder(root, embedder, cache).update() == 2
    assert embedded == ["dog-bark.ogg", "pancakes.md"]


def test_progress_is_told_of_every_file_and_the_end(root: Path, cache: Path, embedder: Embedder) -> None:
    told: list[tuple[int, int, str]] = []
    updated(root, embedder, cache, progress=lambda *step: told.append(step))
    names = ["coffee-cup.jpg", "dog-ball.jpg", "dog-bark.ogg", os.path.join("sub", "pancakes.md"), ""]
    assert told == [(done, 4, name) for done, name in enumerate(names)]


def test_killed_in_mid_update_the_next_goes_on(root: Path, cache: Path, media: Path, embedder: Embedder) -> None:
    for number in range(12):
        shutil.copy(media / "cricket-pond.mkv", root / f"film-{number:02d}.mkv")
    with subprocess.Popen([sys.executable, "-c", UPDATE, root, cache], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line == "at 4\n":
                process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    folder = Folder(root, embedder, cache)
    assert folder.notes == []
    assert 4 <= len(folder.entries) < 16
    left = 16 - len(folder.entries)
    assert folder.update() == left
    assert folder.errors == {}
    assert Folder(root, embedder, cache).update() == 0


def test_two_processes_at_once_both_end_well(root: Path, cache: Path, embedder: Embedder) -> None:
    command = [sys.executable, "-c", UPDATE, root, cache]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in pair:
        out, error = process.communicate(timeout=120)
        assert (process.returncode, error) == (0, "")
        assert out.endswith(" []\n")
    folder = Folder(root, embedder, cache)
    assert folder.notes == []
    assert folder.update() == 0
    assert [path.suffix for path in cache.iterdir()] == [".npz"]


def test_a_hit_says_on_which_page(cache: Path, tmp_path: Path, media: Path, embedder: Embedder) -> None:
    root = tmp_path / "papers"
    root.mkdir()
    shutil.copy(media / "radio-history.pdf", root)
    folder = updated(root, embedder, cache)
    pages = embedder.embed_segments(root / "radio-history.pdf", task="document")
    assert [span.start for _, span in pages] == [1, 2, 3]
    for vector, span in pages:
        (hit,) = folder.search(vector)
        assert hit.span == span
        assert str(hit.span) == f"page {span.start:.0f}"
        assert hit.score == pytest.approx(1, abs=1e-4)
    assert Folder(root, embedder, cache).search(pages[1][0])[0].span == pages[1][1]


def test_a_hit_says_at_which_second_of_a_long_sound(cache: Path, tmp_path: Path, media: Path, embedder: Embedder) -> None:
    root = tmp_path / "sounds"
    root.mkdir()
    samples = np.concatenate([0.3 * np.sin(2 * np.pi * pitch * np.arange(12 * 16_000) / 16_000) for pitch in (300, 900, 2700)])
    with wave.open(str(root / "three-tones.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    folder = updated(root, embedder, cache)
    stretches = embedder.embed_segments(root / "three-tones.wav", task="document")
    assert len(stretches) > 1
    for vector, span in stretches:
        (hit,) = folder.search(vector)
        assert hit.span == span
        assert span.kind == "seconds"
    assert stretches[0][1].start == 0
    assert stretches[-1][1].end == pytest.approx(36, abs=0.1)


def test_kind_finds_only_that_kind(root: Path, cache: Path, embedder: Embedder) -> None:
    folder = updated(root, embedder, cache)
    query = embedder.embed("a dog", task="search query")[0]
    found = {kind: {hit.path for hit in folder.search(query, kind=kind)} for kind in ("image", "audio", "document", "video")}
    assert found == {
        "image": {"coffee-cup.jpg", "dog-ball.jpg"},
        "audio": {"dog-bark.ogg"},
        "document": {os.path.join("sub", "pancakes.md")},
        "video": set(),
    }
    assert folder.search(query, count=1, kind="audio")[0].kind == "audio"


def test_ties_are_in_path_order(cache: Path, tmp_path: Path, media: Path, embedder: Embedder) -> None:
    root = tmp_path / "same"
    for name in ("z.jpg", "a.jpg", "b/a.jpg", "B.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(media / "rocket.jpg", root / name)
    folder = updated(root, embedder, cache)
    hits = folder.search(embedder.embed(Content("a rocket"))[0])
    assert len({hit.score for hit in hits}) == 1
    assert [hit.path for hit in hits] == ["B.jpg", "a.jpg", os.path.join("b", "a.jpg"), "z.jpg"]


def test_another_space_never_shares_a_cache(root: Path, cache: Path, embedder: Embedder) -> None:
    other = copy.copy(embedder)
    other.space_id = "another-model"
    updated(root, embedder, cache)
    foreign = Folder(root, other, cache)
    assert foreign.entries == {}
    assert foreign.update() == len(FILES)
    assert len(list(cache.glob("*.npz"))) == 2
    assert Folder(root, embedder, cache).update() == Folder(root, other, cache).update() == 0


def test_names_of_any_bytes_are_kept(root: Path, cache: Path, media: Path, embedder: Embedder) -> None:
    name = os.fsdecode(b"caf\xe9 \n\x1b[31m.jpg")
    shutil.copy(media / "rocket.jpg", root / name)
    updated(root, embedder, cache)
    folder = Folder(root, embedder, cache)
    assert folder.update() == 0
    assert name in folder.entries
