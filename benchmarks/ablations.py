"""What parts of a recipe buy: `python benchmarks/ablations.py recipes/nano.yaml --data DATA --data BUILT --cache CACHE`.

Trains the recipe for a few steps with one thing changed at a time, from shared caches, and scores each on development
sets, before it is made small for the engine. A variant that is in the table of `--out` already is not trained again.
"""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from panvec.data.pairs import PartKey
from panvec.training import loop
from panvec.training.log import Log
from panvec.training.loop import Training
from panvec.training.nano import Item, NanoLearner
from panvec.training.prepared import Augmentation, Prepared, Preparer
from panvec.training.recipe import Recipe, read_recipe
from panvec.training.release import choose
from panvec.training.tasks import Place

Changes = dict[str, Any]
VARIANTS: dict[str, Changes] = {
    "the recipe": {},
    "no soup: the last checkpoint": {"soup": None},
    "skips begin at nothing": {"model.ridge": 1e12, "model.class_weight": 0.0, "model.class_gain": 0.0},
    "no class names": {"model.class_weight": 0.0, "model.class_gain": 0.0, "stages.0.mixture.classes": None},
    "class probabilities weigh a third at the start": {"model.class_gain": 6.0},
    "small pictures as the tower sees them": {"model.small_temperature": None},
    "names in English only": {"sources.tuxpaint.only.language": ["en"]},
    "no texts among the negatives": {"tasks.photos.others": None},
    "hard negatives, mined at the start": {"stages.0.mine": True},
    "adapters of rank 32 for soft tokens, 30 steps more": {
        "model.adapter_rank": 32,
        "tasks.near": {"data": ["flickr8k"], "batch": 256, "swap": True, "loss": {"temperature": 0.04}},
        "stages.1": {"name": "through the trunk", "steps": 30, "rate": 2e-4, "warmup": 5, "mixture": {"near": 1}},
    },
    "nine soft tokens of a photo all alike": {},
    "Whisper's last layer alone": {},
    "no pictures beside sounds": {"stages.0.mixture.both": None},
    "no thumbnails of photos": {"tasks.photos.thumbnails": 0},
    "captions one at a time": {"tasks.photos.blended": 0.0},
    "nothing of the trunk's output for media": {"model.gate": 0.0},
    "no dropout": {"model.dropout": 0.0},
}
SETS: tuple[Changes, ...] = (
    {"path": "flickr8k", "limit": 1000},
    {"path": "tiny_imagenet", "limit": 1500},
    {"path": "cifar10", "limit": 1000},
    {"path": "urbansound8k", "where": {"fold": "3"}, "limit": 250, "templates": ["the sound of {}"]},
    {"path": "animal_sounds", "dev_share": 0.2, "templates": ["the sound of a {}"]},
    {"path": "flickr8k_speech"},
)
COLUMNS = {
    "text to photo R@1": "flickr8k, text to image, R@1",
    "photo to text R@1": "flickr8k, image to text, R@1",
    "kept among texts": "flickr8k, text to image, mixed pool, R@10 kept",
    "200 classes": "tiny_imagenet, image by class name, macro accuracy",
    "10 classes": "cifar10, image by class name, macro accuracy",
    "city sounds": "urbansound8k, audio by class name, macro accuracy",
    "animals": "animal_sounds, audio by class name, macro accuracy",
    "speech to text R@1": "flickr8k_speech, speech to text, R@1",
    "speech to photo R@5": "flickr8k_speech, speech to image, R@5",
}


def _alike(part: Prepared) -> Prepared:
    return replace(part, cells=np.repeat(part.cells.mean(0, keepdims=True), len(part.cells), 0)) if len(part.cells) else part


def _last_layer(part: Prepared) -> Prepared:
    states = part.states.copy()
    states[:, :, :-1] = 0
    return replace(part, states=states)


SEEN: dict[str, Callable[[Prepared], Prepared]] = {
    "nine soft tokens of a photo all alike": _alike,
    "Whisper's last layer alone": _last_layer,
}
"""What a variant makes of the towers' outputs."""


class Seeing(Preparer):
    """A preparer that may change what the towers give; one serves all variants, which keeps media in memory."""

    change: Callable[[Prepared], Prepared] | None = None

    def part(self, key: PartKey, augmentation: Augmentation | None = None) -> Prepared:
        part = super().part(key, augmentation)
        return self.change(part) if self.change else part


class Sharing(NanoLearner):
    """A learner that takes the trunk's sums of media from a variant before it, where all that they depend on is equal."""

    known: ClassVar[dict[str, tuple[Any, Any]]] = {}

    def hold_trunk(self, hold: bool) -> None:
        super().hold_trunk(hold)
        if hold:
            self._held, self._items = self._shared()

    def sums(self, items: list[Item]) -> Tensor:
        if self._held is not None or torch.is_grad_enabled():
            return super().sums(items)
        named = [item if item.key else replace(item, key=_digest(vars(item.prepared).values())) for item in items]
        return self._held_sums(named, self._shared()[0])

    def restore_lengths(self) -> None:
        if self.first_lengths.min() > 1e-3:  # skips that began at nothing keep what they have learned
            super().restore_lengths()

    def _shared(self) -> tuple[Any, Any]:
        before = [
            tensor
            for name, tensor in sorted(self.state_dict().items())
            if name.startswith(("model.vision.", "model.audio.", "model.markers.", "model.adapters.")) and "skip" not in name
        ]
        change = str(self.preparer.change).encode()
        return self.known.setdefault(_digest([change, *(tensor.numpy() for tensor in before)]), ({}, {}))


def _digest(parts: Iterable[Any]) -> str:
    digest = hashlib.blake2b()
    for part in parts:
        digest.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else part)
    return digest.hexdigest()


def changed(recipe: Recipe, changes: Changes, steps: int) -> Recipe:
    """The recipe with values put at dotted places (None takes a key out) and so many steps."""
    tree = json.loads(recipe.model_dump_json())
    tree["dev"], tree["stages"] = SETS, tree["stages"][:1]
    for place, value in ({"stages.0.steps": steps} | changes).items():
        *path, last = place.split(".")
        node: Any = tree
        for key in path:
            node = node[int(key)] if isinstance(node, list) else node[key]
        if isinstance(node, list):
            node.append(value)
        elif value is None and last not in ("soup", "others"):
            del node[last]
        else:
            node[last] = value
    return Recipe.model_validate_json(json.dumps(tree))


def scores(training: Training) -> dict[str, float]:
    """The scores of the run's soup, or of its last checkpoint if that is better."""
    assert isinstance(training.learner, NanoLearner)
    _, found = choose(training, training.learner)
    longest = max(score.dim for score in found)
    return {f"{s.data}, {s.task}, {s.metric}": round(100 * s.value, 1) for s in found if s.dim == longest}


def markdown(table: dict[str, dict[str, float]]) -> str:
    """The main scores of each variant, a row each."""
    lines = [f"| variant | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    lines += [f"| {name} | {' | '.join(str(found[key]) for key in COLUMNS.values())} |" for name, found in table.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), help="these variants alone")
    parser.add_argument("--out", type=Path, default=Path("ablations.json"))
    arguments = parser.parse_args()
    table = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    preparer = Seeing(arguments.cache)
    loop.Preparer, loop.NanoLearner = lambda *_, **__: preparer, Sharing
    for name in arguments.only or VARIANTS:
        if name in table:
            continue
        recipe = changed(read_recipe(arguments.recipe), VARIANTS[name], arguments.steps)
        if SEEN.get(name) is not preparer.change:
            preparer.change = SEEN.get(name)
            Sharing.known.clear()  # gigabytes of what no other variant sees
        with tempfile.TemporaryDirectory() as run:
            place = Place(tuple(arguments.data), Path(run) / "run", arguments.cache)
            training = Training(recipe, place, Log(place.run))
            training.run()
            table[name] = scores(training)
        arguments.out.write_text(json.dumps(table, indent=1) + "\n")
    print(markdown(table))


if __name__ == "__main__":
    main()
