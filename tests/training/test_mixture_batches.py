"""What a batch is made of: texts alone, and texts blended."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from panvec.data.pairs import read_pairs
from panvec.training.batches import Batches
from panvec.training.nano import NanoLearner, Pooled
from panvec.training.prepared import Preparer
from panvec.training.recipe import Recipe
from panvec.training.schedule import Draw


def recipe_of(**task: object) -> Recipe:
    stage = {"name": "one", "steps": 1, "mixture": {"photos": 1}}
    tasks = {"photos": {"data": ["photos"], "batch": 6, **task}}
    return Recipe.model_validate(
        {"name": "small", "sources": {"photos": {"path": "photos"}}, "tasks": tasks, "stages": [stage]}
    )


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
