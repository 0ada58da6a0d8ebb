"""What a run would do, before it does: pairs, steps, weights, hours on this machine, memory."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from itertools import islice

import numpy as np

from panvec.data.pairs import Pair
from panvec.training.batches import Batches, augmentations, texts_of
from panvec.training.log import Log
from panvec.training.loop import Training
from panvec.training.prepared import CLASS
from panvec.training.recipe import Recipe
from panvec.training.schedule import Draw
from panvec.training.step import backward
from panvec.training.tasks import Place, media_of, read_tasks

_TRIED = 24


@dataclass(frozen=True)
class TaskPlan:
    """A task: its pairs, media and texts, the steps of all stages that draw it, and seconds a step as measured."""

    name: str
    pairs: int
    media: int
    texts: int
    steps: int
    batch: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """A run: its tasks, the number of weights trained, hours of training, hours to fill an empty cache, megabytes at most."""

    tasks: list[TaskPlan]
    weights: int
    training_hours: float
    caching_hours: float
    megabytes: float


def plan(recipe: Recipe, place: Place, log: Log) -> Plan:
    """Measure a few contents of every task and multiply. What is tried stays in the cache; no run is begun.

    Raises:
        InputError: data is missing.
    """
    pairs = read_tasks(recipe, place)
    tried = {name: few(found) for name, found in pairs.items()}
    begun = time.perf_counter()
    training = Training(recipe, place, log, pairs=dict(tried))
    media_tried = sum(len(set(media_of(pair))) for found in tried.values() for pair in found)
    texts_tried = sum(len(set(texts_of(found))) for found in tried.values())
    each = (time.perf_counter() - begun) / max(1, media_tried + texts_tried / 10)
    drawn = [training.task_of(step) for step in range(training.steps())]
    tasks, once = [], 0.0
    for name, found in pairs.items():
        made_up = [pair for pair in training.pairs[name] if recipe.tasks[name].classes and pair.query[0][0] == CLASS]
        count = len(found) + len(made_up)
        size = min(recipe.tasks[name].batch, count)
        held = not any(stage.trunk for stage in recipe.stages if name in stage.mixture)
        training.learner.hold_trunk(held)
        seconds = _seconds(training, name)
        if held:  # the trunk runs once on each content, in the step that first has it
            once += seconds * count * len(augmentations(recipe.tasks[name]))
            seconds = _seconds(training, name)
        media, texts = {key for pair in found for key in media_of(pair)}, set(texts_of([*found, *made_up]))
        tasks.append(TaskPlan(name, count, len(media), len(texts), drawn.count(name), size, seconds * size))
    caching = sum(task.media + task.texts / 10 for task in tasks) * each
    training.learner.hold_trunk(not any(stage.trunk for stage in recipe.stages))
    weights = sum(p.numel() for p in training.learner.parameters() if p.requires_grad)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    training_seconds = once + sum(task.steps * task.seconds for task in tasks)
    return Plan(tasks, weights, training_seconds / 3600, caching / 3600, peak)


def few(pairs: list[Pair]) -> list[Pair]:
    """Some pairs spread over all of them."""
    return list(islice(pairs[:: max(1, len(pairs) // _TRIED)], _TRIED))


def _seconds(training: Training, task: str) -> float:
    """Seconds a pair takes in a step of its task."""
    rows = np.arange(min(_TRIED, len(training.pairs[task])))
    begun = time.perf_counter()
    batch = Batches(training.recipe, training.learner, training.pairs).batch(Draw(task, rows, rows), (0,))
    backward(training.learner, training.objective, task, batch, chunk=max(1, len(rows) // 2), seed=0)
    training.optimizer.zero_grad(set_to_none=True)
    return (time.perf_counter() - begun) / len(rows)
