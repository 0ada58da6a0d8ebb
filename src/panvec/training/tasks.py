"""What a recipe's tasks train on: the pairs of their sources, found in the folders of a run."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from panvec.data.pairs import Pair, PartKey, Side
from panvec.data.readers import SourceSpec, open_source
from panvec.errors import InputError
from panvec.training.nano import is_text
from panvec.training.recipe import Recipe

_MOST_COPIES = 6
"""Of a pair among balanced ones."""


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
        sources = [recipe.sources[source] for source in recipe.tasks[name].data]
        pairs = [pair for spec in sources for pair in open_source(spec, root_of(spec, place))]
        if not pairs and not recipe.tasks[name].classes:
            raise InputError(f"task {name}: no training pairs in {', '.join(recipe.tasks[name].data)}")
        found[name] = balanced(pairs) if recipe.tasks[name].balanced else pairs
    return found


def balanced(pairs: list[Pair]) -> list[Pair]:
    """Pairs of rare answers several times, so that each answer has as many as the most frequent one, or six times its own."""
    groups: dict[tuple[Side, ...], list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.positives, []).append(pair)
    most = max(map(len, groups.values()), default=0)
    return [pair for own in groups.values() for pair in islice(cycle(own), min(most, _MOST_COPIES * len(own)))]


def root_of(spec: SourceSpec, place: Place) -> Path:
    """The folder from which a source's path is seen."""
    return Path() if spec.allow_network else place.root(spec.path)


def media_of(pair: Pair) -> list[PartKey]:
    """The media in a pair."""
    sides = (pair.query, *pair.positives, *pair.negatives)
    return [key for side in sides if not is_text(side) for key in side if key[0] != "text"]
