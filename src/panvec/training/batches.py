"""From a draw to a batch: which positive, which negatives, which prompt, which other texts; all by the draw's seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from panvec.data.pairs import Pair, Side
from panvec.training.hub import HubLearner
from panvec.training.nano import NanoLearner, is_text, mean_text
from panvec.training.prepared import Augmentation
from panvec.training.recipe import Recipe, Task
from panvec.training.schedule import Draw
from panvec.training.step import Batch


class Batches:
    """Makes the batches of a recipe's tasks.

    Args:
        pairs: of each task that is drawn, or that another takes texts from.

    Attributes:
        mined: of each task, hard negatives of each of its pairs beside the pairs' own.
    """

    def __init__(self, recipe: Recipe, learner: NanoLearner | HubLearner, pairs: dict[str, list[Pair]]) -> None:
        self.recipe, self.learner, self.pairs = recipe, learner, pairs
        self.mined: dict[str, list[tuple[Side, ...]]] = {}
        self.distils = False
        """Whether the teachers are what queries and positives, or what these are translations of, are without the bridge."""
        self._texts = {name: sorted(set(texts_of(pairs[name]))) for task in pairs if (name := recipe.tasks[task].others)}

    def batch(self, draw: Draw, others_seed: tuple[int, ...]) -> Batch:
        """The batch of a draw; `others_seed` must be the same in every process that shares the step."""
        task = self.recipe.tasks[draw.task]
        chosen = [self.pairs[draw.task][row] for row in draw.rows]
        queries: list[_Drawn] = []
        positives: list[_Drawn] = []
        negatives: list[_Drawn] = []
        owners = []
        for place, (pair, row, seed) in enumerate(zip(chosen, draw.rows, draw.seeds, strict=True)):
            generator = np.random.default_rng(int(seed))
            ends = [[pair.query], _answers_of(pair, task.blended, generator)]
            query, positive = reversed(ends) if task.swap else ends
            queries.append(_Drawn(query[0], *_chosen(task.query_prompt, task, generator), tuple(query[1:])))
            positives.append(_Drawn(positive[0], *_chosen(task.positive_prompt, task, generator), tuple(positive[1:])))
            own = () if task.swap else pair.negatives  # they answer the pair's query wrongly, not its positive
            known = [*own, *(self.mined[draw.task][row] if draw.task in self.mined else ())]
            for index in generator.permutation(len(known))[: task.hard_negatives]:
                negatives.append(_Drawn(known[index], *_chosen(task.positive_prompt, task, generator)))
                owners.append(place)
        others = self._others(task, others_seed)
        every = [*queries, *positives, *negatives, *(_Drawn(side, task.positive_prompt, None) for side in others)]
        items: list[Any] = self.learner.prepare(
            [d.side for d in every], [d.prompt for d in every], [d.augmentation for d in every]
        )
        self._blend(items, every)
        rows = len(chosen)
        query_ids, positive_ids = _ids(queries), _ids(positives)
        taught, teachers = self.learner.before_training(items[: 2 * rows] if task.loss.matching else [])
        originals = None
        if self.distils and isinstance(self.learner, NanoLearner):
            originals = torch.cat([query_ids, positive_ids])
            with torch.no_grad():
                teachers = self.learner(items[: 2 * rows], bridged=False)
            if task.parallel:
                first = rows * task.swap + np.arange(rows)
                teachers, originals = teachers[first].repeat(2, 1), originals[first].repeat(2)
        return Batch(
            queries=items[:rows],
            positives=items[rows : 2 * rows],
            query_ids=query_ids,
            positive_ids=positive_ids,
            negatives=items[2 * rows : 2 * rows + len(negatives)],
            owners=torch.tensor(owners, dtype=torch.int64),
            others=items[2 * rows + len(negatives) :],
            answers=_answers(chosen, others),
            teachers=teachers,
            taught=torch.from_numpy(taught),
            originals=originals,
        )

    def _blend(self, items: list[Any], every: list[_Drawn]) -> None:
        """Put the mean of a text's vector and those of its `more` in its place."""
        wide = [(place, drawn) for place, drawn in enumerate(every) if drawn.more]
        sides, prompts = [side for _, d in wide for side in d.more], [d.prompt for _, d in wide for _ in d.more]
        more: Iterator[Any] = iter(self.learner.prepare(sides, prompts))
        for place, drawn in wide:
            items[place] = mean_text([items[place], *islice(more, len(drawn.more))])

    def prompted_texts(self) -> Iterator[tuple[str, str]]:
        """Every text alone that a batch may hold, with every prompt that it may have."""
        for name in self.pairs:
            task = self.recipe.tasks[name]
            prompts = {task.query_prompt, task.positive_prompt} | ({""} if task.prompt_dropout else set())
            for text in texts_of([*self.pairs[name], *(self.pairs[task.others] if task.others else ())]):
                yield from ((prompt, text) for prompt in sorted(prompts))

    def _others(self, task: Task, seed: tuple[int, ...]) -> list[Side]:
        generator = np.random.default_rng(seed)
        if task.others is None or generator.random() >= task.others_share:
            return []
        texts = self._texts[task.others]
        picked = generator.choice(len(texts), min(task.others_count, len(texts)), replace=False)
        return [(("text", texts[index]),) for index in picked]


@dataclass(frozen=True)
class _Drawn:
    side: Side
    prompt: str
    augmentation: Augmentation | None
    more: tuple[Side, ...] = ()
    """Texts beside `side`, all of which the content is the mean of."""


def augmentations(task: Task) -> list[Augmentation | None]:
    """Every way in which a task's media may be drawn; None is as they are."""
    augmented = [Augmentation(number, task.letters) for number in range(1, task.augmented + 1)]
    return [None, *augmented, *(Augmentation(number, task.letters, small=True) for number in range(1, task.thumbnails + 1))]


def _answers_of(pair: Pair, blended: float, generator: np.random.Generator) -> list[Side]:
    """One of a pair's positives; or, if they are texts, some of them at random in a share of the draws."""
    order = [pair.positives[int(i)] for i in generator.permutation(len(pair.positives))]
    if generator.random() >= blended or not all(map(is_text, order)):
        return order[:1]
    return order[: int(generator.integers(1, len(order) + 1))]


def _chosen(prompt: str, task: Task, generator: np.random.Generator) -> tuple[str, Augmentation | None]:
    prompt = "" if generator.random() < task.prompt_dropout else prompt
    ways = augmentations(task)
    return prompt, ways[int(generator.integers(len(ways)))]


def texts_of(pairs: list[Pair]) -> Iterator[str]:
    """The contents of pairs that are one text."""
    for pair in pairs:
        for side in (pair.query, *pair.positives, *pair.negatives):
            if is_text(side):
                yield side[0][1]


def identity(side: Side) -> int:
    """A number that equal contents share, in every process and run."""
    return int.from_bytes(hashlib.blake2b(repr(side).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") >> 1


def _ids(drawn: list[_Drawn]) -> torch.Tensor:
    return torch.tensor([identity((*d.side, *(part for side in d.more for part in side))) for d in drawn], dtype=torch.int64)


def _answers(pairs: list[Pair], others: list[Side]) -> torch.Tensor:
    """`[pairs, others]`: true where another is one of the pair's own contents."""
    places = {other: place for place, other in enumerate(others)}
    answers = torch.zeros(len(pairs), len(others), dtype=torch.bool)
    for row, pair in enumerate(pairs):
        answers[row, [places[side] for side in (pair.query, *pair.positives) if side in places]] = True
    return answers
