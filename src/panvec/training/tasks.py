"""What a recipe's tasks train on: the pairs of their sources, found in the folders of a run, joined where that is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from panvec.data.pairs import Pair, PartKey, text
from panvec.data.readers import SourceSpec, open_source
from panvec.errors import InputError
from panvec.training.nano import is_text
from panvec.training.recipe import Recipe


@dataclass(frozen=True)
class Place:
    """Where a run finds and keeps things, and how it is run."""

    data: tuple[Path, ...]
    """Folders in which the recipe's data is looked for, in order."""
    run: Path
    cache: Path
    threads: int | None = None
    shard: bool = False
    """Parameters split over the processes (FSDP) instead of a copy in each."""

    def root(self, path: str) -> Path:
        """The folder that holds a source of the recipe.

        Raises:
            InputError: none does.
        """
        for folder in self.data:
            if (folder / path).exists() or ("{" in path and (folder / path).parent.is_dir()):
                return folder
        raise InputError(f"there is no {path} in {', '.join(map(str, self.data))}: build it, or name its parent with --data")


def read_tasks(recipe: Recipe, place: Place) -> dict[str, list[Pair]]:
    """The training pairs of every task that a stage draws or another task takes texts from.

    Raises:
        InputError: a source is missing, or holds no training pairs.
    """
    used = {name for stage in recipe.stages for name in stage.mixture}
    while more := {others for name in used if (others := recipe.tasks[name].others)} - used:
        used |= more
    found = {}
    for name in sorted(used):
        task = recipe.tasks[name]
        pairs = _pairs(recipe, place, task.data)
        if not pairs and not task.classes:
            raise InputError(f"task {name}: no training pairs in {', '.join(task.data)}")
        found[name] = join_pairs(pairs, _pairs(recipe, place, task.joined), recipe.seed) if task.joined else pairs
    return found


def _pairs(recipe: Recipe, place: Place, sources: tuple[str, ...]) -> list[Pair]:
    specs = [recipe.sources[source] for source in sources]
    return [pair for spec in specs for pair in open_source(spec, root_of(spec, place))]


def join_pairs(pairs: list[Pair], partners: list[Pair], seed: int) -> list[Pair]:
    """Each pair followed by a partner at random: the parts of both queries in a row, each text with one of the partner's.

    Raises:
        InputError: there is no partner, or a right answer of either is no text.
    """
    if not partners:
        raise InputError("there are no pairs to join others with: name sources that hold some")
    for pair in (*pairs, *partners):
        if not all(map(is_text, pair.positives)):
            raise InputError(f"{pair.item} is answered by a medium: only pairs whose answers are texts can be joined")
    generator, joined = np.random.default_rng(seed), []
    for pair in pairs:
        other = partners[int(generator.integers(len(partners)))]
        after = [other.positives[int(i)][0][1] for i in generator.integers(len(other.positives), size=len(pair.positives))]
        texts = [text(f"{own[0][1]} {more}") for own, more in zip(pair.positives, after, strict=True)]
        joined.append(replace(pair, item=f"{pair.item}+{other.item}", query=pair.query + other.query, positives=tuple(texts)))
    return joined


def root_of(spec: SourceSpec, place: Place) -> Path:
    """The folder from which a source's path is seen."""
    return Path() if spec.allow_network else place.root(spec.path)


def media_of(pair: Pair) -> list[PartKey]:
    """The media in a pair."""
    sides = (pair.query, *pair.positives, *pair.negatives)
    return [key for side in sides if not is_text(side) for key in side if key[0] != "text"]
