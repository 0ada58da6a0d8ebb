"""Texts word by word in other languages, by dictionaries with the layout of the real packages."""

import gzip
import json
import string
from pathlib import Path

import pytest
from building import made
from small_media import write

from panvec.data.builders.dictionaries import DICTIONARIES
from panvec.errors import InputError

DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
DOG = {
    "de": 'Reifzange <fem> [techn.]\n   Note: for barrels\nHund <masc>\n      "a dog"  - ein Hund',
    "fr": "chien, clébard",
    "es": "1. perro",
    "it": "cane (animale (domestico))",
    "pt": "cão",
    "cs": "pes",
    "tr": "1. köpek, it",
    "el": "σκύλος",
    "ar": "1. كَلب",
    "hi": '1. कुत्ता\n      "The dog barked"',
    "ru": "  [dɘg]\n  1. _n.\n   1) собака (тж. a hound)",
}
REVERSED = {"犬": " [ichi1] 犬 /inu/, いぬ\n1. (noun)\ndog (Canis (lupus) familiaris)\n2. spy", "獀": "獀 /x/\n(noun)\ndog"}


def encoded(number: int) -> str:
    digits = DIGITS[number % 64]
    while number := number // 64:
        digits = DIGITS[number % 64] + digits
    return digits


def dictd(index: Path, entries: dict[str, str]) -> None:
    data, lines = b"", ["00-database-info\tA\tA"]
    for head, entry in entries.items():
        lines.append(f"{head}\t{encoded(len(data))}\t{encoded(len(entry.encode()))}")
        data += entry.encode()
    write(index, "\n".join(lines) + "\n")
    write(index.with_suffix(".dict.dz"), gzip.compress(data))


@pytest.fixture
def packages(tmp_path) -> Path:
    for dictionary in DICTIONARIES:
        path = tmp_path / "packages" / dictionary.package.folder / dictionary.package.inside
        if dictionary.language == "ja":
            dictd(path, REVERSED)
        elif dictionary.language == "zh-Hans":
            rows = {"all": [["犬", "犬", "quan3", "dog", [], []], ["x", "狗", "gou3", ["dog (CL:隻|只[zhi1])", "cur"], [], []]]}
            write(path, f"export default {json.dumps(rows)}")
        else:
            dictd(path, {"dog": f"dog /dɒg/ <N>\n{DOG[dictionary.language]}", "dogs": "a dog's life\nx"})
    captions = [f"Dog number {number} is a dog." for number in range(60)]
    rows = [
        {"image": "a.jpg", "split": "train", "captions": captions},
        {"image": "b.jpg", "split": "test", "captions": ["Dogs."]},
    ]
    write(
        tmp_path / "packages/captions.jsonl", "\n".join(map(json.dumps, [*rows, rows[0] | {"image": "c.jpg", "split": "dev"}]))
    )
    return tmp_path / "packages"


def test_words_are_in_the_language_and_mean_the_same(packages, tmp_path):
    pairs = made("wordwise", tmp_path / "out", packages)
    words = {"de": "Hund", "fr": "chien", "es": "perro", "it": "cane", "pt": "cão", "cs": "pes", "tr": "köpek", "el": "σκύλος"}
    words |= {"ar": "كلب", "hi": "कुत्ता", "ru": "собака"}
    expected = {language: f"{dog} number {dog}" for language, dog in words.items()} | {"ja": "犬number犬"}
    said = {pair.language: pair.positives[0][0][1] for pair in pairs}
    assert said.pop("zh-Hans") in ("犬number犬", "狗number狗")
    assert said == expected
    assert len(pairs) == 120  # each text once, in two languages
    assert {(pair.item, pair.split) for pair in pairs} == {("c.jpg", "dev")}


def test_texts_keep_their_split(packages, tmp_path):
    path = packages / "captions.jsonl"
    write(path, "\n".join(path.read_text(encoding="utf-8").splitlines()[:2]))
    assert {(pair.item, pair.split) for pair in made("wordwise", tmp_path / "out", packages)} == {("a.jpg", "train")}


def test_a_dictionary_that_is_none_is_named(packages, tmp_path):
    (packages / "dict-freedict-eng-hin/usr/share/dictd/freedict-eng-hin.dict.dz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=r"freedict-eng-hin.index is no dictionary .*fetch the package dict-freedict-eng-hin"):
        made("wordwise", tmp_path / "out", packages)


def test_captions_without_a_picture_are_named_with_their_line(packages, tmp_path):
    write(packages / "captions.jsonl", '{"image": "a.jpg", "captions": ["A dog."]}\n{"captions": []}\n')
    with pytest.raises(InputError, match=r"captions.jsonl, line 2: no image with captions"):
        made("wordwise", tmp_path / "out", packages)
