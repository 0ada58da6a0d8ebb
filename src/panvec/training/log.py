"""What a run says: a live table, `metrics.jsonl`, TensorBoard, and curves as a picture."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.live import Live
from rich.progress import Progress
from rich.table import Table
from torch.utils.tensorboard import SummaryWriter

METRICS = "metrics.jsonl"
_SMOOTHING = 0.9
_LINE_SECONDS = 20.0
T = TypeVar("T")


class Log:
    """The log of a run; a process that is not the first says nothing.

    Args:
        run: the run's folder.
        quiet: nothing on the console.
    """

    def __init__(self, run: Path, *, first: bool = True, quiet: bool = False) -> None:
        self.run, self.first = run, first
        self.console = Console(stderr=True, quiet=quiet or not first)
        self._smooth: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._seconds = 0.0
        self._said = 0.0
        self._steps = 0
        self._live: Live | None = None
        self._board: SummaryWriter | None = None

    def begin(self, done: int, steps: int) -> None:
        """From step `done` on, of so many. What was logged of later steps, before a cut, is forgotten."""
        self._steps = steps
        if not self.first:
            return
        path = self.run / METRICS
        rows = read_metrics(self.run)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows if row["step"] < done), encoding="utf-8")
        self._board = SummaryWriter(self.run / "tensorboard", purge_step=done)
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=2)
            self._live.start()

    def step(self, step: int, row: dict[str, Any]) -> None:
        """One step's figures."""
        if not self.first:
            return
        with (self.run / METRICS).open("a", encoding="utf-8") as out:
            out.write(json.dumps({"step": step, **row}) + "\n")
        task, loss = str(row["task"]), float(row["loss"])
        self._smooth[task] = _SMOOTHING * self._smooth.get(task, loss) + (1 - _SMOOTHING) * loss
        self._counts[task] = self._counts.get(task, 0) + 1
        self._seconds = _SMOOTHING * (self._seconds or row["seconds"]) + (1 - _SMOOTHING) * row["seconds"]
        if self._board:
            for name, value in (("loss/" + task, loss), ("rate", row["rate"]), ("norm", row["norm"])):
                self._board.add_scalar(name, value, step)
        if self._live:
            self._live.update(self._table(step, row))
        elif time.monotonic() - self._said > _LINE_SECONDS or step + 1 == self._steps:
            self._said = time.monotonic()
            losses = ", ".join(f"{name} {value:.3f}" for name, value in sorted(self._smooth.items()))
            self.console.print(f"step {step + 1}/{self._steps} {row['stage']}: {losses}; {self._left(step)}", highlight=False)

    def end(self) -> None:
        """Close what is open and draw the curves."""
        if self._live:
            self._live.stop()
        if self._board:
            self._board.close()
        if self.first and read_metrics(self.run):
            draw_curves(self.run)

    def progress(self, items: list[T], what: str) -> Iterator[T]:
        """The items, with a bar; where there is no terminal, a line now and then."""
        if self.console.is_terminal:
            with Progress(console=self.console, transient=True) as bar:
                yield from bar.track(items, description=what)
            return
        said = time.monotonic()
        for done, item in enumerate(items, 1):
            yield item
            if time.monotonic() - said > _LINE_SECONDS:
                said = time.monotonic()
                self.say(f"{what}: {done} of {len(items)}")

    def counter(self, total: int, what: str) -> Callable[[int], None]:
        """A function that is told how many more are done."""
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            self.say(f"{what}: {done} (at most {total})")

        return count

    def say(self, line: str) -> None:
        """A line on the console."""
        self.console.print(line, highlight=False)

    def left_out(self, reasons: dict[str, str]) -> None:
        """Name what cannot be read, all of it in `left-out.json`."""
        if not self.first or not reasons:
            return
        self.run.mkdir(parents=True, exist_ok=True)
        (self.run / "left-out.json").write_text(json.dumps(reasons, indent=1), encoding="utf-8")
        name, reason = next(iter(reasons.items()))
        self.console.print(
            f"{len(reasons)} media cannot be read and their pairs are left out (left-out.json), as {name}: {reason}"
        )

    def _left(self, step: int) -> str:
        return f"{self._seconds:.2f} s a step, {(self._steps - step - 1) * self._seconds / 60:.0f} min left"

    def _table(self, step: int, row: dict[str, Any]) -> Table:
        table = Table("task", "steps", "loss", title=f"step {step + 1}/{self._steps} {row['stage']}", caption=self._left(step))
        for name, value in sorted(self._smooth.items()):
            table.add_row(name, str(self._counts[name]), f"{value:.3f}")
        return table


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The rows of a run's `metrics.jsonl`, without a last one that was cut."""
    path = run / METRICS
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def draw_curves(run: Path) -> Path:
    """`curves.png`: the loss of every task, smoothed, and the learning rate."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    rows = read_metrics(run)
    figure, (losses, rates) = plt.subplots(2, 1, figsize=(9, 7), height_ratios=(3, 1), sharex=True, layout="constrained")
    for task in sorted({row["task"] for row in rows}):
        own = [row for row in rows if row["task"] == task]
        losses.plot([row["step"] for row in own], list(_smoothed(row["loss"] for row in own)), label=task)
    losses.set_ylabel("loss"), losses.legend(), losses.grid(alpha=0.3)
    rates.plot([row["step"] for row in rows], [row["rate"] for row in rows])
    rates.set_ylabel("learning rate"), rates.set_xlabel("step"), rates.grid(alpha=0.3)
    path = run / "curves.png"
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def _smoothed(values: Iterable[float]) -> Iterator[float]:
    mean: float | None = None
    for value in values:
        mean = value if mean is None else _SMOOTHING * mean + (1 - _SMOOTHING) * value
        yield mean
