from pathlib import Path

import numpy as np
import pytest
import torch

from panvec.data.pairs import Pair, PartKey, text
from panvec.errors import InputError
from panvec.models.nano.module import NanoModule
from panvec.training.classes import class_cells, class_names, imagine_classes, imagined, pictured
from panvec.training.nano import Item, NanoLearner
from panvec.training.prepared import CLASS, Augmentation, Preparer

MEDIA = Path(__file__).parents[2] / "examples" / "media"


def test_the_kind_of_a_class_is_an_everyday_word() -> None:
    kinds = {own[0]: own[-1] for own in class_names()}
    assert len(kinds) > 990
    found = [kinds[name] for name in ("tabby", "airliner", "tree frog", "container ship", "goldfinch", "Border collie")]
    assert found == ["cat", "plane", "frog", "ship", "bird", "dog"]


def test_unseen_classes_have_no_names_and_no_pictures(cache: Path) -> None:
    learner = NanoLearner(Preparer(cache, threads=1))
    pictures: list[PartKey] = [("image", str(path)) for path in sorted(MEDIA.glob("*.jpg"))]
    assert class_names(unseen=("goldfish",))[:3] == [class_names()[0], [], class_names()[2]]
    pairs = imagine_classes(learner.preparer, learner.model, pictures, unseen=("goldfish",))
    assert len(pairs) == 999
    assert not any("goldfish" in side[0][1] for pair in pairs for side in pair.positives)
    with pytest.raises(InputError, match="no class 'unicorn'"):
        class_names(unseen=("goldfish", "unicorn"))


def test_a_labelled_medium_gets_a_picture_of_its_kind_beside_it() -> None:
    pairs = [Pair(f"sound-{n}", (("audio", f"{n}.ogg"),), (text("the sound of a dog"), text("dog"))) for n in range(20)]
    nameless = Pair("drill", (("audio", "drill.ogg"),), (text("zither and drill"),))
    found = pictured([*pairs, nameless], unseen=("Chihuahua",))
    assert [pair.item for pair in found] == [pair.item for pair in pairs]
    kinds = class_names()
    for pair, before in zip(found, pairs, strict=True):
        assert pair.positives == before.positives
        assert before.query[0] in pair.query
        (picture,) = (part for part in pair.query if part[0] == CLASS)
        assert kinds[int(picture[1])][-1] == "dog"
        assert "Chihuahua" not in kinds[int(picture[1])]
    assert {pair.query[0][0] for pair in found} == {"audio", CLASS}, "either comes first"
    assert len({pair.query for pair in found}) == 20
    assert found == pictured(pairs, unseen=("Chihuahua",))


def test_names_of_a_class_become_its_picture() -> None:
    pairs = [
        Pair("deer", text("impala, Aepyceros melampus"), (text("deer"), text("mule deer"))),
        Pair("pet", text("goldfish, Carassius auratus"), (text("carp"),)),
        Pair("bison", text("gazelle"), (text("European bison"), text("wild ox"))),
        Pair("nothing", text("unicorn"), (text("horse"),)),
    ]
    deer, ox = imagined(pairs, unseen=("goldfish", "bison"))
    assert (deer.item, deer.query) == ("deer", ((CLASS, "352"),))
    assert {text("deer"), text("a photo of a deer"), text("a mule deer")} <= set(deer.positives)
    assert (ox.query, text("wild ox") in ox.positives) == (((CLASS, "353"),), True)
    assert not any("bison" in side[0][1] for side in ox.positives)


def test_the_tower_takes_a_made_up_picture_for_its_class() -> None:
    """Where pictures vary alike in all directions, a class is moved along its own row."""
    classifier = NanoModule().load_frozen().vision.classifier
    features = torch.randn(3000, classifier.in_features, generator=torch.Generator().manual_seed(0)) + 3
    with torch.no_grad():
        found = classifier(class_cells(features, classifier.weight)).argmax(-1)
    assert (found == torch.arange(1000)).float().mean() > 0.99


def test_made_up_pictures_stand_where_pictures_do(cache: Path) -> None:
    learner = NanoLearner(Preparer(cache, threads=1))
    pictures: list[PartKey] = [("image", str(path)) for path in sorted(MEDIA.glob("*.jpg"))]
    pairs = imagine_classes(learner.preparer, learner.model, pictures)
    assert len(pairs) == 1000
    made_up, real = learner.prepare([pairs[7].query, (pictures[0],)], ["", ""])
    assert isinstance(made_up, Item)
    assert isinstance(real, Item)
    np.testing.assert_array_equal(made_up.prepared.kinds, real.prepared.kinds)
    np.testing.assert_array_equal(made_up.prepared.cells, learner.preparer.class_cells[False][7, 0])


def test_an_augmented_class_has_a_picture_around_it(cache: Path) -> None:
    learner = NanoLearner(Preparer(cache, threads=1))
    pictures: list[PartKey] = [("image", str(path)) for path in sorted(MEDIA.glob("*.jpg"))]
    pairs = imagine_classes(learner.preparer, learner.model, pictures)
    plain, one, two = learner.prepare([pairs[7].query] * 3, [""] * 3, [None, Augmentation(1), Augmentation(2)])
    assert all(isinstance(item, Item) and item.prepared.cells.shape == (9, 4608) for item in (plain, one, two))
    assert len({item.prepared.cells.tobytes() for item in (plain, one, two) if isinstance(item, Item)}) == 3


def test_a_small_class_has_a_thumbnail_around_it(cache: Path) -> None:
    learner = NanoLearner(Preparer(cache, threads=1))
    pictures: list[PartKey] = [("image", str(path)) for path in sorted(MEDIA.glob("*.jpg"))]
    pairs = imagine_classes(learner.preparer, learner.model, pictures, thumbnails=True)
    ways = [None, Augmentation(1), Augmentation(1, small=True), Augmentation(2, small=True)]
    items = learner.prepare([pairs[7].query] * len(ways), [""] * len(ways), ways)
    cells = [item.prepared.cells.astype(np.float32).mean(0) for item in items if isinstance(item, Item)]
    assert len({values.tobytes() for values in cells}) == len(ways)
    around = [
        np.mean([learner.preparer.part(key, way).cells[:9].astype(np.float32).mean(0) for key in pictures], 0)
        for way in (None, Augmentation(1, small=True))
    ]
    for values, nearest in zip(cells, (0, 0, 1, 1), strict=True):
        assert np.argmin([np.linalg.norm(values - mean) for mean in around]) == nearest
