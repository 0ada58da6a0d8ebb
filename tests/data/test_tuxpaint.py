"""Tux Paint's stamps, and what every builder does with items, splits and folders."""

from pathlib import Path

import PIL.Image
import PIL.PngImagePlugin
import pytest
from building import DISC, SVG, made, one, texts
from small_media import write

from panvec.data.builders.base import Draft, bcp47, concept_of, some_of
from panvec.data.cards import read_card
from panvec.errors import InputError


def test_stamps_have_a_pair_for_each_language(stamps, tmp_path):
    pairs = made("tuxpaint", tmp_path / "out", stamps)
    seen = [pair for pair in pairs if pair.item == "animals/koala" and pair.query[0][0] == "image"]
    assert {pair.language: texts(pair.positives) for pair in seen} == {
        "en": ["A koala."],
        "fr": ["Un koala."],
        "ca-valencia": ["Un coala."],
        "zh-Hans": ["树袋熊。"],
    }
    assert len({pair.query for pair in seen}) == 1


def test_stamps_are_heard_in_the_language_of_their_caption(stamps, tmp_path):
    heard = [pair for pair in made("tuxpaint", tmp_path / "out", stamps) if pair.query[0][0] == "audio"]
    said = sorted((pair.item, pair.language, *texts(pair.positives)) for pair in heard)
    assert said == [
        ("animals/koala", "en", "A koala."),
        ("animals/koala", "en", "A koala."),
        ("animals/koala", "fr", "Un koala."),
        ("symbols/math/7", "fr", "Sept."),
    ]
    french = one(heard, item="animals/koala", language="fr")
    original = stamps / "tuxpaint-stamps-default/usr/share/tuxpaint/stamps/animals/koala_desc_fr.ogg"
    assert Path(french.query[0][1]).read_bytes() == original.read_bytes()


def test_stamps_left_out_are_counted_by_reason(stamps, tmp_path):
    made("tuxpaint", tmp_path / "out", stamps)
    left = {each.why: each.count for each in read_card(tmp_path / "out").left_out}
    assert left["caption: ar is poor"] == 1
    assert left["caption: the same as in English"] == 1
    assert left["stamp: no English caption"] == 1
    assert left["sound: silent"] == 1
    assert left["sound: no caption in its language"] == 1
    assert left["sound: a letter's name, which is not what the caption says"] == 1
    assert left["picture: without a caption (most are mirrored)"] == 1
    assert sum(left.values()) == 8  # and 7.png, which is no picture


def test_pictures_are_small_and_on_white(stamps, tmp_path):
    pairs = made("tuxpaint", tmp_path / "out", stamps)
    flat = PIL.Image.open(one(pairs, item="animals/koala", language="zh-Hans").query[0][1])
    assert (flat.size, flat.mode, flat.getpixel((259, 129))) == ((260, 130), "RGB", (255, 255, 255))
    drawn = PIL.Image.open(next(pair for pair in pairs if pair.item == "animals/koala2").query[0][1])
    assert (drawn.size, drawn.getpixel((0, 259))) == ((130, 260), (255, 255, 255))
    assert drawn.getpixel((48, 48)) == (204, 51, 51)


@pytest.mark.parametrize(
    "svg",
    [
        '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><image href="/etc/passwd" width="9" height="9"/></svg>',
        '<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"/>',
        '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><text y="20">words</text></svg>',
        "<svg",
        SVG.format(height=30_000, body=DISC),
        SVG.format(height=32, body=""),
    ],
    ids=["file", "entity", "font", "broken", "endless", "empty"],
)
def test_a_drawing_of_no_use_is_left_out(svg, stamps, tmp_path):
    drawing = stamps / "tuxpaint-stamps-default/usr/share/tuxpaint/stamps/animals/koala2.svg"
    drawing.write_text(svg)
    assert not [pair for pair in made("tuxpaint", tmp_path / "out", stamps) if pair.item == "animals/koala2"]


def test_the_same_bytes_twice(stamps, tmp_path):
    for name in ("one", "two"):
        made("tuxpaint", tmp_path / name, stamps)
    first, second = ({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
                     for out in (tmp_path / "one", tmp_path / "two"))  # fmt: skip
    assert len(first) > 6
    assert first == second


def test_a_limit_is_of_items_and_keeps_their_pairs_whole(stamps, tmp_path):
    everything = made("tuxpaint", tmp_path / "all", stamps)
    some = made("tuxpaint", tmp_path / "some", stamps, limit=2)
    items = {pair.item for pair in some}
    assert 0 < len(items) <= 2
    assert len(some) == len([pair for pair in everything if pair.item in items])


def test_a_concept_is_in_one_split_whatever_it_is_called(stamps, tmp_path):
    pairs = made("tuxpaint", tmp_path / "out", stamps, dev=0.5)
    splits = {pair.item: pair.split for pair in pairs}
    assert splits["animals/koala"] == splits["animals/koala2"]
    assert {pair.split for pair in pairs if pair.item == "animals/koala"} == {splits["animals/koala"]}
    drawn = [Draft(tmp_path, dev=0.05).split(f"thing {number}") for number in range(4_000)]
    assert 150 < drawn.count("dev") < 250


def test_captions_of_one_concept():
    assert concept_of("A koala.") == concept_of("the  Koalas") == concept_of("koala") == "koala"
    assert concept_of("Glass") == "glass"
    assert concept_of("?!") == "?!"


@pytest.mark.parametrize(
    ("locale", "tag"),
    [("pt_BR", "pt-BR"), ("sr@latin", "sr-Latn"), ("zh_TW", "zh-Hant"), ("zh_CN", "zh-Hans"), ("ca@valencia", "ca-valencia")],
)
def test_language_tags(locale, tag):
    assert bcp47(locale) == tag


def test_a_draw_depends_on_the_name_and_not_on_the_order():
    items = [f"item {number}" for number in range(30)]
    drawn = some_of(items, 5, "a name")
    assert drawn == some_of(reversed(items), 5, "a name")
    assert drawn != some_of(items, 5, "another name")


def test_what_is_in_the_way_is_not_touched(stamps, tmp_path):
    kept = write(tmp_path / "out/notes.txt", "mine")
    with pytest.raises(InputError, match="exists already: remove it"):
        made("tuxpaint", tmp_path / "out", stamps)
    assert kept.read_text() == "mine"


def test_a_package_with_nothing_in_it_leaves_nothing_behind(tmp_path):
    (tmp_path / "packages/tuxpaint-stamps-default/usr/share/tuxpaint/stamps").mkdir(parents=True)
    with pytest.raises(InputError, match="no pair of tuxpaint can be made"):
        made("tuxpaint", tmp_path / "out", tmp_path / "packages")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["packages"]
