"""What parts of a recipe buy: `python benchmarks/ablations.py recipes/nano.yaml --data DATA --data BUILT --cache CACHE`.

Trains the recipe for a few steps with one thing changed at a time, from shared caches, exports each and scores the
shipped engine on development sets. A variant that is in the table of `--out` already is not trained again.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from panvec import Embedder
from panvec.evaluation import evaluate_local
from panvec.training.log import Log
from panvec.training.loop import Training
from panvec.training.recipe import Recipe, read_recipe
from panvec.training.release import release_run
from panvec.training.tasks import Place

Changes = dict[str, Any]
VARIANTS: dict[str, Changes] = {
    "the recipe": {},
    "the last checkpoint, no soup": {"soup": None},
    "skips begin at nothing": {"model.ridge": 1e12, "model.class_weight": 0.0},
    "no class names": {"model.class_weight": 0.0, "stages.0.mixture.classes": None},
    "names in English only": {"sources.tuxpaint.only.language": ["en"]},
    "no texts among the negatives": {"tasks.photos.others": None},
    "hard negatives, mined at the start": {"stages.0.mine": True},
    "nothing of the trunk's output for media": {"model.gate": 0.0},
    "no dropout": {"model.dropout": 0.0},
    "photos in batches of 256": {"tasks.photos.batch": 256},
}
SETS: tuple[tuple[str, Changes], ...] = (
    ("flickr8k", {}),
    ("tiny_imagenet", {"limit": 500}),
    ("animal_sounds", {"dev_share": 0.2, "templates": ["the sound of a {}"]}),
)


def changed(recipe: Recipe, changes: Changes, steps: int) -> Recipe:
    """The recipe with values put at dotted places (None takes a key out) and so many steps."""
    tree = json.loads(recipe.model_dump_json())
    tree["dev"] = []
    for place, value in ({"stages.0.steps": steps} | changes).items():
        *path, last = place.split(".")
        node: Any = tree
        for key in path:
            node = node[int(key)] if isinstance(node, list) else node[key]
        if value is None and last not in ("soup", "others"):
            del node[last]
        else:
            node[last] = value
    return Recipe.model_validate_json(json.dumps(tree))


def scores(training: Training, folder: Path, data: Path) -> dict[str, float]:
    """The shipped engine's scores of the run's soup, or of its last checkpoint."""
    embedder = Embedder(release_run(training, folder).folder)
    found = {}
    for name, options in SETS:
        for score in evaluate_local(data / name, embedder, dims=(384,), **options).scores:
            found[f"{name}, {score.task}, {score.metric}"] = round(100 * score.value, 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True, help="the first holds the development sets")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), help="these variants alone")
    parser.add_argument("--out", type=Path, default=Path("ablations.json"))
    arguments = parser.parse_args()
    table = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for name in arguments.only or VARIANTS:
        if name in table:
            continue
        recipe = changed(read_recipe(arguments.recipe), VARIANTS[name], arguments.steps)
        with tempfile.TemporaryDirectory() as run:
            place = Place(tuple(arguments.data), Path(run) / "run", arguments.cache)
            training = Training(recipe, place, Log(place.run))
            training.run()
            table[name] = scores(training, Path(run) / "weights", arguments.data[0])
        arguments.out.write_text(json.dumps(table, indent=1) + "\n")
        print(name, table[name])


if __name__ == "__main__":
    main()
