import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from small_media import image_bytes, wav_bytes, write

from panvec.data.cards import (
    CARD,
    PAGE,
    Card,
    Count,
    LeftOut,
    Package,
    check_card,
    direction,
    make_card,
    read_card,
    rendered,
    write_card,
)
from panvec.data.pairs import FILE, Pair, text, write_pairs
from panvec.errors import InputError

WORDS = (text("words"),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "a.png", image_bytes())
    write(tmp_path / "a.wav", wav_bytes())
    image, audio = ("image", str(tmp_path / "a.png")), ("audio", str(tmp_path / "a.wav"))
    pairs = [
        Pair("a", (image,), WORDS, language="en"),
        Pair("a", (image,), WORDS, language="en"),
        Pair("a", (image,), WORDS, language="de"),
        Pair("b", (image,), WORDS, split="dev", language="en"),
        Pair("c", (image, ("text", "and"), image), (*WORDS, (audio,))),
    ]
    write_pairs(tmp_path, pairs)
    return tmp_path


def made(folder: Path, **changes: str) -> Card:
    return make_card(
        folder,
        name="stamps",
        what="Drawings with their names.",
        packages=(Package("apt", "tuxpaint-stamps", "2024.1", "GPL-2"), Package("npm", "a|b", "1", "MIT")),
        licences={"MIT": 1, "GPL-2": 1_400},
        how_split="By the hash of the English name, 5 %.",
        left_out={"no caption": 3, "animation": 1},
        command="panvec data build stamps --out stamps",
        **changes,
    )


def test_a_card_counts_what_is_in_the_folder(folder: Path) -> None:
    card = made(folder, date="2026-01-02")
    assert card.counts == (
        Count("dev", "image > text", "en", 1),
        Count("train", "image > text", "de", 1),
        Count("train", "image > text", "en", 2),
        Count("train", "image+text > audio, text", "", 1),
    )
    assert (card.pairs, card.items, card.date) == (5, 3, "2026-01-02")
    assert card.left_out == (LeftOut("animation", 1), LeftOut("no caption", 3))
    assert list(card.licences) == ["GPL-2", "MIT"]
    assert card.sha256 == hashlib.sha256((folder / FILE).read_bytes()).hexdigest()


def test_a_card_is_dated_today(folder: Path) -> None:
    before = datetime.now(UTC).date().isoformat()
    assert before <= made(folder).date <= datetime.now(UTC).date().isoformat()


def test_a_card_survives_the_disk(folder: Path) -> None:
    card = made(folder)
    write_card(folder, card)
    assert read_card(folder) == card == check_card(folder)
    assert sorted(file.name for file in folder.iterdir()) == ["a.png", "a.wav", CARD, PAGE, FILE]


def test_a_card_for_people(folder: Path) -> None:
    page = rendered(made(folder, date="2026-01-02"))
    for line in (
        "# stamps",
        "5 pairs from 3 items, made 2026-01-02 with",
        "    panvec data build stamps --out stamps",
        "| tuxpaint-stamps | 2024.1 | apt | GPL-2 |",
        "| a\\|b | 1 | npm | MIT |",
        "| GPL-2 | 1,400 |",
        "| train | image > text | de | 1 |",
        "| no caption | 3 |",
    ):
        assert line in page.splitlines()
    nothing_left_out = rendered(replace(made(folder), left_out=()))
    assert nothing_left_out.endswith("## Left out\n\nNothing.\n")


def test_other_pairs_than_the_card_says(folder: Path) -> None:
    write_card(folder, made(folder))
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(InputError, match="panvec data build stamps"):
        check_card(folder)
    (folder / FILE).unlink()
    with pytest.raises(InputError, match=FILE):
        check_card(folder)


def test_no_card(folder: Path) -> None:
    with pytest.raises(InputError, match=CARD):
        read_card(folder)


@pytest.mark.parametrize(
    "change", [{"name": None}, {"more": 1}, {"counts": [{"split": "a"}]}, {"packages": 7}, {"left_out": ["a"]}]
)
def test_no_card_of_ours(folder: Path, change: dict[str, object]) -> None:
    write_card(folder, made(folder))
    stored = json.loads((folder / CARD).read_text())
    changed = stored | change if change != {"name": None} else {key: stored[key] for key in stored if key != "name"}
    (folder / CARD).write_text(json.dumps(changed))
    with pytest.raises(InputError, match="no data card"):
        read_card(folder)


@pytest.mark.parametrize("data", [b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_card(folder: Path, data: bytes) -> None:
    (folder / CARD).write_bytes(data)
    with pytest.raises(InputError, match="no data card"):
        read_card(folder)


def test_a_folder_without_pairs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=FILE):
        made(tmp_path)


def test_direction() -> None:
    assert direction(Pair("a", (("audio", "a"), ("image", "b"), ("audio", "c")), WORDS)) == "audio+image > text"
