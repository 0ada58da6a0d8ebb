"""WordNet's tree, in a package as Debian lays it out, to pairs of classes and nouns."""

import json

from building import texts
from small_media import write

from panvec.data.builders import source
from panvec.data.builders.base import build
from panvec.data.pairs import read_pairs


def test_nouns_without_a_class_have_the_nearest_classes(tmp_path):
    root, found = tmp_path / "packages/wordnet-base/usr/share/wordnet", {}
    tree = {  # file, words, hypernym
        "100": ("05", "animal", None),
        "101": ("05", "ruminant", "100"),
        "102": ("05", "gazelle", "101"),
        "103": ("05", "ox bull", "101"),
        "104": ("05", "deer cervid", "101"),
        "105": ("05", "red_deer", "104"),
        "106": ("05", "spotted_deer", "105"),
        "107": ("06", "airplane aeroplane", None),
        "108": ("06", "airliner", "107"),
        "109": ("06", "glider", "107"),
        "110": ("18", "bull", None),
        "111": ("06", "crane", None),
    }
    data, index = "  1 This software and database is being provided to you | by  \n", "  1 This software  \n"
    for offset, (file, words, above) in tree.items():
        each = words.split()
        pointers = f"001 @ {above} n 0000" if above else "000"
        data += f"{offset} {file} n {len(each):02x} {' '.join(f'{word} 0' for word in each)} {pointers} | a thing  \n"
        for word in each:
            found.setdefault(word, []).append(offset)
    for word, offsets in found.items():
        tagged = int(word != "ruminant")
        index += f"{word} n {len(offsets)} 1 @ {len(offsets)} {tagged} {' '.join(offsets)}  \n"
    write(root / "data.noun", data)
    write(root / "index.noun", index)
    classes = [["gazelle"], ["ox", "bull"], ["airliner"], ["crane"], ["crane"]]
    names = write(tmp_path / "vision_classes.json", json.dumps(classes))
    packages = {"wordnet-base": root, "vision_classes": names}
    card = build(source("relatives"), tmp_path / "out", packages)
    pairs = {}
    for pair in read_pairs(tmp_path / "out", split=None):
        pairs.setdefault(tuple(texts(pair.positives)), []).append(texts([pair.query])[0])
    assert {words: sorted(classes) for words, classes in pairs.items()} == {
        ("animal",): ["gazelle", "ox, bull"],
        ("deer", "cervid"): ["gazelle", "ox, bull"],
        ("red deer",): ["gazelle", "ox, bull"],
        ("airplane", "aeroplane"): ["airliner"],
    }, "a rare noun has none, nor has one three steps away, nor a thing beside a class"
    assert {each.why: each.count for each in card.left_out}["class: its names have several meanings"] == 2
