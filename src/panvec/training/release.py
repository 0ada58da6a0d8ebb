"""From a run to a weights folder: soup, export, scores before and after, model card."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from panvec.content import Content
from panvec.data.pairs import Side
from panvec.errors import InputError, PanvecError
from panvec.evaluation import Score, evaluate_local
from panvec.evaluation.vectors import Embeds
from panvec.models.embedder import Embedder, Vector
from panvec.models.nano.config import WEIGHTS
from panvec.models.nano.release import FROZEN, release
from panvec.training import checkpoint, soup
from panvec.training.hub import HubLearner
from panvec.training.loop import Training, encode_sides
from panvec.training.nano import NanoLearner, turned
from panvec.training.soup import Ingredient

CARD = "README.md"
_SAMPLE = 4_000
_MAIN = ("R@1", "macro accuracy", "R@5", "R@10")


@dataclass(frozen=True)
class Released:
    """What was released: where, from which checkpoints, and development scores in torch before and in the engine after."""

    folder: Path
    steps: tuple[int, ...]
    before: list[Score]
    after: list[Score]


def release_run(training: Training, out: Path, *, limit: int | None = None) -> Released:
    """Release a run that has been trained into `out`: its last checkpoint, or the soup of its last ones if that is no worse.

    Args:
        training: the run.
        out: an empty or new folder.
        limit: at most so many rows of each development set.

    Raises:
        InputError: the run has no checkpoint, or `out` holds other files than a release.
    """
    steps = checkpoint.steps(training.place.run)
    if not steps:
        raise InputError(f"{training.place.run} has no checkpoint yet: train first")
    _claim(out)
    if isinstance(training.learner, HubLearner):
        return _release_hub(training, training.learner, out, steps[-1], limit)
    chosen, before = choose(training, training.learner, limit)
    _write(training, out)
    after = development_scores(training, Embedder(out, threads=training.place.threads), limit)
    found = Released(out, chosen, before, after)
    (out / CARD).write_text(model_card(training, found), encoding="utf-8")
    (out / "scores.json").write_text(json.dumps([vars(score) for score in found.after], indent=1), encoding="utf-8")
    return found


def choose(training: Training, learner: NanoLearner, limit: int | None = None) -> tuple[tuple[int, ...], list[Score]]:
    """Load a run's last checkpoint, or the soup of its last ones if that is no worse: their steps and development scores."""
    steps = checkpoint.steps(training.place.run)
    newest = checkpoint.model(training.place.run, steps[-1])
    candidates: dict[tuple[int, ...], dict[str, Tensor]] = {(steps[-1],): turned(newest)}
    if (recipe_soup := training.recipe.soup) is not None:
        settled = training.settled()
        last = tuple(step for step in steps if step % recipe_soup.every == 0 and step <= settled)[-recipe_soup.checkpoints :]
        if len(last) > 1:
            average = soup.average([Ingredient(training.place.run, step) for step in last])
            later = {name: tensor for name, tensor in newest.items() if name == "turn" or ".bridge." in name}
            candidates = {last: turned(average | later), **candidates}
    embedder, scored = _Trained(learner), dict[tuple[int, ...], list[Score]]()
    for key, tensors in candidates.items():
        training.load(tensors)
        learner.restore_lengths()
        scored[key] = development_scores(training, embedder, limit)
    chosen = max(scored, key=lambda key: main_score(scored[key]))  # the soup, if they are equal
    training.load(candidates[chosen])
    learner.restore_lengths()
    return chosen, scored[chosen]


def _release_hub(training: Training, learner: HubLearner, out: Path, step: int, limit: int | None) -> Released:
    """The last checkpoint with its adapters merged; nothing is quantised, so scores before and after are the same."""
    training.load(checkpoint.model(training.place.run, step))
    learner.save(out)
    scores = development_scores(training, Embedder(out, threads=training.place.threads), limit)
    return Released(out, (step,), scores, scores)


class _Trained:
    """A nano under training as something that embeds: the towers and texts come from the training's cache."""

    space_id = "under training"

    def __init__(self, learner: NanoLearner) -> None:
        self.learner, self.dims = learner.eval(), learner.config.dims
        learner.hold_trunk(False)

    @torch.inference_mode()
    def embed(self, inputs: list[Content], *, on_error: Literal["return"]) -> list[Vector | PanvecError]:
        """A vector or the error of each."""
        try:
            return [*self.learner(self.learner.contents(inputs)).cpu().numpy()]
        except PanvecError as error:
            if len(inputs) == 1:
                return [error]
            return [found for each in inputs for found in self.embed([each], on_error=on_error)]


def development_scores(training: Training, embedder: Embeds, limit: int | None = None) -> list[Score]:
    """The scores of an embedder on the recipe's development sets."""
    scores: list[Score] = []
    for dev in training.recipe.dev:
        scores += evaluate_local(
            training.place.root(dev.path) / dev.path,
            embedder,
            split=dev.split,
            where=dev.where,
            dev_share=dev.dev_share,
            limit=limit or dev.limit,
            dims=embedder.dims,
            templates=dev.templates or None,
        ).scores
    return scores


def main_score(scores: list[Score]) -> float:
    """One number to choose by: the mean over tasks of each one's first metric, at the longest dimension."""
    if not scores:
        return 0.0
    dim = max(score.dim for score in scores)
    first: dict[tuple[str, str], float] = {}
    for score in scores:
        if score.dim == dim and score.metric in _MAIN:
            first.setdefault((score.data, score.task), score.value)
    return float(np.mean(list(first.values())))


def _write(training: Training, out: Path) -> None:
    for name in (*FROZEN, "vision_classes.json"):
        if not (out / name).exists():
            _link(WEIGHTS / name, out / name)
    if isinstance(training.learner, NanoLearner):
        release(training.learner.model, _sample(training), out)


def _sample(training: Training) -> Tensor:
    """Vectors `[n, 384]` of training contents of every task."""
    each = _SAMPLE // len(training.pairs)
    sides: list[tuple[Side, str]] = []
    for name, pairs in training.pairs.items():
        task = training.recipe.tasks[name]
        rows = np.random.default_rng(0).permutation(len(pairs))[:each]
        sides += [(pairs[row].query, task.query_prompt) for row in rows]
        sides += [(pairs[row].positives[0], task.positive_prompt) for row in rows]
    by_prompt = {prompt: [side for side, other in sides if other == prompt] for prompt in {prompt for _, prompt in sides}}
    found = [encode_sides(training.learner, own, prompt) for prompt, own in sorted(by_prompt.items())]
    return torch.from_numpy(np.concatenate(found))


def _claim(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()) and not any((out / name).exists() for name in ("manifest.json", "modules.json")):
        raise InputError(f"{out} holds other files: name an empty folder, or one that panvec release wrote")


def _link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the disk has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def model_card(training: Training, found: Released) -> str:
    """The model card: what it was trained on and under which terms, scores before and after, how to repeat it."""
    recipe, place = training.recipe, training.place
    manifest = json.loads((found.folder / "manifest.json").read_text(encoding="utf-8"))
    lines = [
        f"# {recipe.name}",
        "",
        f"Space id `{manifest['space_id']}`; recipe `{recipe.digest()}` ({recipe.model.kind}, seed {recipe.seed}); "
        f"checkpoints {', '.join(map(str, found.steps))} of {training.steps()} steps.",
        "",
        "## Training data",
        "",
        "| task | source | pairs | licence |",
        "|---|---|---|---|",
    ]
    for name, pairs in training.pairs.items():
        for source in (recipe.sources[source] for source in recipe.tasks[name].data):
            stated = licence(place.root(source.path) / source.path) or source.licence or "not stated"
            lines.append(f"| {name} | {source.path} | {len(pairs):,} in the task | {stated} |")
    lines += ["", "The weights are under the terms of the data; the code is under Apache-2.0.", ""]
    if found.after:
        lines += ["## Development scores", "", "Labels that a tower or a training set has seen are not zero-shot.", ""]
        lines += ["| data | task | metric | dim | before (torch) | released engine | 95 % |", "|---|---|---|---|---|---|---|"]
        for old, new in zip(found.before, found.after, strict=True):
            lines.append(
                f"| {new.data} | {new.task} | {new.metric} | {new.dim} | {old.value:.1%} | {new.value:.1%} "
                f"| {new.low:.1%} to {new.high:.1%} |"
            )
    return "\n".join([*lines, "", "## Recipe", "", "```json", recipe.model_dump_json(indent=1), "```", ""])


def licence(folder: Path) -> str | None:
    """The licences that a data card beside the pairs names."""
    card = folder / "card.json"
    if not card.exists():
        return None
    stated = json.loads(card.read_text(encoding="utf-8")).get("licences")
    if not stated:
        return None
    return ", ".join(stated) if isinstance(stated, list | dict) else str(stated)
