"""Which task and which rows a step trains on: a function of the seed and the step alone, so that any step can be repeated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Draw:
    """The batch of one step: a task, rows of its pairs, and a seed for each row's own choices."""

    task: str
    rows: NDArray[np.int64]
    seeds: NDArray[np.int64]

    def share(self, rank: int, ranks: int) -> Draw:
        """The rows of one of several processes, in order; together they are the batch."""
        mine = slice(len(self.rows) * rank // ranks, len(self.rows) * (rank + 1) // ranks)
        return Draw(self.task, self.rows[mine], self.seeds[mine])


class Schedule:
    """The batches of a stage: one task each, drawn at fixed rates (Gemini Embedding 2; task-consistent batches: WeMM).

    Args:
        rates: how often each task is drawn, in proportion.
        counts: pairs of each task.
        sizes: batch size of each task; a task with fewer pairs has batches of all of them.
        steps: steps in the stage.
        seed: the same gives the same batches.

    Within a task every pair is drawn once before any is drawn again.
    """

    def __init__(
        self, rates: dict[str, float], counts: dict[str, int], sizes: dict[str, int], steps: int, seed: tuple[int, ...]
    ) -> None:
        self.names = list(rates)
        self.counts = [counts[name] for name in self.names]
        self.sizes = [min(sizes[name], counts[name]) for name in self.names]
        self.seed = seed
        shares = np.array([rates[name] for name in self.names], np.float64)
        self.tasks = np.random.default_rng(seed).choice(len(self.names), steps, p=shares / shares.sum())
        self._before = np.zeros(steps, np.int64)
        for task in range(len(self.names)):
            drawn = self.tasks == task
            self._before[drawn] = np.arange(drawn.sum())

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, step: int) -> Draw:
        task = int(self.tasks[step])
        size, count = self.sizes[task], self.counts[task]
        places = self._before[step] * size + np.arange(size)
        rows = np.empty(size, np.int64)
        for epoch in np.unique(places // count):
            order = np.random.default_rng((*self.seed, 0, task, int(epoch))).permutation(count)
            inside = places // count == epoch
            rows[inside] = order[places[inside] % count]
        seeds = np.random.default_rng((*self.seed, 1, task, step)).integers(0, 2**62, size)
        return Draw(self.names[task], rows, seeds)
