"""What tasks train on: pairs joined with others, captions blended, thumbnails beside the pictures themselves."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from panvec.data.pairs import Pair, read_pairs, text
from panvec.errors import InputError
from panvec.training.batches import Batches, augmentations
from panvec.training.nano import NanoLearner, Pooled
from panvec.training.prepared import Augmentation, Preparer
from panvec.training.recipe import Recipe
from panvec.training.schedule import Draw
from panvec.training.tasks import Place, join_pairs, read_tasks

PHOTO = Path(__file__).parents[2] / "examples" / "media" / "dog-ball.jpg"


def recipe_of(**task: object) -> Recipe:
    stage = {"name": "one", "steps": 1, "mixture": {"photos": 1}}
    sources = {"photos": {"path": "photos"}, "tones": {"path": "tones"}}
    tasks = {"photos": {"data": ["photos"], "batch": 6, **task}}
    return Recipe.model_validate({"name": "small", "sources": sources, "tasks": tasks, "stages": [stage]})


def test_a_joined_pair_holds_both_contents_and_says_both(data: Path, cache: Path, tmp_path: Path) -> None:
    recipe = recipe_of(joined=["tones"])
    found = read_tasks(recipe, Place((data,), tmp_path, cache))["photos"]
    alone, tones = list(read_pairs(data / "photos")), {pair.query: pair for pair in read_pairs(data / "tones")}
    assert len(found) == len(alone)
    for pair, own in zip(found, alone, strict=True):
        partner = tones[pair.query[len(own.query) :]]
        assert pair.query == own.query + partner.query
        assert pair.positives == tuple(text(f"{side[0][1]} {partner.positives[0][0][1]}") for side in own.positives)
    assert len({pair.query[1:] for pair in found}) > 1
    assert found == read_tasks(recipe, Place((data,), tmp_path, cache))["photos"]


def test_only_pairs_answered_by_texts_are_joined(data: Path) -> None:
    photos, tones = (list(read_pairs(data / name)) for name in ("photos", "tones"))
    heard = [Pair("spoken", text("a tone"), (tones[0].query,))]
    with pytest.raises(InputError, match="spoken is answered by a medium"):
        join_pairs(photos, heard, 0)
    with pytest.raises(InputError, match="no pairs to join"):
        join_pairs(photos, [], 0)


def test_a_blended_positive_lies_between_the_texts_of_its_pair(data: Path, cache: Path) -> None:
    learner = NanoLearner(Preparer(cache, threads=1))
    learner.start_released()
    pairs = list(read_pairs(data / "photos"))
    batches = Batches(recipe_of(blended=0.9, swap=True, query_prompt=""), learner, {"photos": pairs})
    batch = batches.batch(Draw("photos", np.arange(len(pairs)), np.arange(len(pairs))), (0,))
    single = [learner.prepare(list(pair.positives), [""] * 2) for pair in pairs]
    middles = 0
    for query, texts in zip(batch.queries, single, strict=True):
        assert isinstance(query, Pooled)
        units = [F.normalize(torch.from_numpy(each.sums), dim=0) for each in texts if isinstance(each, Pooled)]
        found = F.normalize(torch.from_numpy(query.sums), dim=0)
        middle = F.normalize(units[0] + units[1], dim=0)
        assert max(float(found @ each) for each in (*units, middle)) > 0.99999
        middles += bool(found @ middle > 0.99999)
    assert 0 < middles < len(pairs)
    assert len(set(batch.query_ids.tolist())) == len(pairs)


def test_thumbnails_are_further_ways_to_see_a_picture(data: Path, cache: Path) -> None:
    ways = augmentations(recipe_of(augmented=1, thumbnails=2).tasks["photos"])
    assert ways == [None, Augmentation(1), Augmentation(1, small=True), Augmentation(2, small=True)]
    preparer = Preparer(cache, threads=1)
    key = ("image", str(PHOTO))
    seen = {preparer.part(key, way).cells.tobytes() for way in ways}
    assert len(seen) == len(ways)
    sound = next(read_pairs(data / "tones")).query[0]
    assert preparer.prepare(sound, Augmentation(1, small=True)) == preparer.prepare(sound)
