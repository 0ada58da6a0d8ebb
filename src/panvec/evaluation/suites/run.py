"""Running a suite: resumable, cached by task and space id, in files that mteb's own tools read."""

from __future__ import annotations

import hashlib
import re
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

import mteb
from mteb.cache.result_cache import ResultCache

from panvec.errors import InputError, PanvecError
from panvec.evaluation.published import published
from panvec.evaluation.settings import surroundings
from panvec.evaluation.suite_table import SUITES, Line, Suite, unknown
from panvec.evaluation.suites.captions import own_task
from panvec.evaluation.suites.encoder import MtebEncoder
from panvec.evaluation.suites.intervals import Interval, intervals_of, of_mean
from panvec.evaluation.suites.kept import Kept, read_kept, write_kept
from panvec.evaluation.suites.network import network
from panvec.evaluation.suites.queries import QueryScores, with_items, worst
from panvec.evaluation.suites.sizes import amount_of, bytes_of, contents_of, parts_of
from panvec.models.remote.cost import Amount, Estimate, Price

Say = Callable[[str], None]
_SEED = 42
"""mteb's own, of every draw in its tasks."""
_ALLOW = "--allow-network (allow_network=True) fetches it"
_CONNECT = "connect to the hub, or fill its cache"
_PIN = re.compile("[0-9a-f]*")
"""Commits, and the "" of folders; a branch has other letters."""


@dataclass(frozen=True)
class Planned:
    """A task of a suite, what it would fetch, and what of it would be embedded; None where that is not known.

    Attributes:
        revision: of the data set on the hub; "" of a folder.
        pinned: False of a branch, which moves.
    """

    line: str
    task: str
    metric: str
    source: str
    revision: str
    pinned: bool
    bytes: int | None
    done: bool
    contents: int
    amount: Amount | None


@dataclass(frozen=True)
class Figure:
    """A line of a suite with its value and 95 % interval, fractions of 1; None where not every task has one.

    Attributes:
        tasks: the value of each task that has been run.
        not_embedded: how many contents of these tasks could not be embedded, and count as missed.
        subsets: the scores of tasks that have several subsets, such as languages.
    """

    suite: str
    line: Line
    value: float | None
    interval: Interval | None
    tasks: dict[str, float]
    not_embedded: int = 0
    subsets: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class SuiteReport:
    """The figures of a suite, what is needed to get them again, and the tasks that could not be run, with the reason.

    Attributes:
        data: of each task that has been run, the data set, the revision that was read, and whether it is pinned.
        scores: of each task that ranks candidates, the value of each query, which a paired comparison needs.
        worst: of each of these tasks, the queries that score lowest.
    """

    suite: Suite
    settings: dict[str, Any]
    data: list[dict[str, Any]]
    figures: list[Figure]
    failed: dict[str, str]
    folder: Path
    scores: list[dict[str, Any]] = field(repr=False)
    worst: list[dict[str, Any]] = field(repr=False)

    def as_dict(self, *, items: bool = False) -> dict[str, Any]:
        """For JSON; published figures are in percent, under their own key. With the value of each query where `items`."""
        return {
            **({"scores": self.scores} if items else {}),
            "kind": "suite",
            "suite": self.suite.name,
            "model": self.settings["model"],
            "space_id": self.settings["space_id"],
            "results": str(self.folder),
            "data": self.data,
            "figures": [_figure(figure) for figure in self.figures],
            "worst": self.worst,
            "failed": self.failed,
            "settings": self.settings,
        }


def suite_of(name: str) -> Suite:
    """The suite of a name.

    Raises:
        InputError: there is none; the message names them all.
    """
    if name not in SUITES:
        raise unknown(name)
    return SUITES[name]


def plan(suite: Suite, encoder: MtebEncoder, folder: Path, data: Path | None = None, only: Sequence[str] = ()) -> list[Planned]:
    """Every task of a suite, or those of the names in `only`, and what each would fetch; asks no hub.

    Raises:
        InputError: `only` names a task that the suite has not.
    """
    cache, lines = ResultCache(folder), _lines(suite, data, only)
    return [
        Planned(
            line.name,
            task.metadata.name,
            _metric(line, task),
            ", ".join(part.metadata.dataset["path"] for part in parts_of(task)),
            task.metadata.dataset["revision"],
            _pinned(task),
            bytes_of(task),
            read_kept(task, encoder, cache) is not None,
            contents_of(task),
            amount_of(task),
        )
        for line, tasks in lines.items()
        for task in tasks
        if not only or task.metadata.name in only
    ]


def cost_of(planned: Sequence[Planned], price: Price | None) -> Estimate:
    """About what tasks cost where the model is hosted, but for those that mteb has no statistics of."""
    amount = sum((each.amount or Amount() for each in planned), Amount())
    return Estimate(sum(each.contents for each in planned), amount, None if price is None else price.of(amount))


def run(
    suite: Suite,
    encoder: MtebEncoder,
    folder: Path,
    *,
    data: Path | None = None,
    only: Sequence[str] = (),
    say: Say | None = None,
    allow_network: bool = False,
) -> SuiteReport:
    """Run what is not yet in `folder`, and read the figures of all that is.

    Args:
        folder: mteb's cache of results; each task is written as soon as it is done.
        data: a folder with a data folder for each task of ours, used instead of the hub.
        only: names of tasks; the others are not run.
        say: is told what is being run.
        allow_network: permits what is in no cache to be fetched from the Hugging Face hub.

    Raises:
        InputError: `only` names a task that the suite has not.
    """
    lines = _lines(suite, data, only)
    tasks = {task.metadata.name: task for each in lines.values() for task in each}
    cache, failed = ResultCache(folder), {}
    metrics, way_out = [line.metric for line in suite.lines], _CONNECT if allow_network else _ALLOW
    with network(allowed=allow_network):
        for name in only or tasks:
            if say:
                say(name)
            if reason := _run(tasks[name], metrics, encoder, cache, way_out):
                failed[name] = reason
    kept = {name: found for name, task in tasks.items() if (found := read_kept(task, encoder, cache))}
    figures = [_read(suite, line, own, kept) for line, own in lines.items()]
    asked = [(task.metadata.name, _metric(line, task)) for line, own in lines.items() for task in own]
    ranked = [(name, metric, kept[name].ranked) for name, metric in asked if name in kept]
    size = {"dim": encoder.dim, "precision": encoder.precision}
    scores = [
        {"data": name, "task": subset, "metric": metric, "items": items, **size}
        for name, metric, own in ranked
        for subset, items in with_items(own, metric)
    ]
    misses = [{"data": name, "metric": metric, **miss} for name, metric, own in ranked for miss in worst(own, metric)]
    data_read = [_data(*found) for found in kept.items()]
    return SuiteReport(suite, _settings(encoder), data_read, figures, failed, folder, scores, misses)


def _lines(suite: Suite, data: Path | None, only: Sequence[str]) -> dict[Line, list[Any]]:
    """The lines of a suite with their tasks, of which `only` may name some."""
    lines = {line: tasks_of(line, data) for line in suite.lines}
    names = [task.metadata.name for tasks in lines.values() for task in tasks]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise InputError(f"the suite {suite.name} has no task {unknown[0]!r}: it has {', '.join(names)}")
    return lines


def tasks_of(line: Line, data: Path | None = None) -> list[Any]:
    """The tasks of a line: mteb's, but for those whose data nobody is given, and ours."""
    with warnings.catch_warnings(action="ignore"):
        if line.benchmark:
            return [task for task in mteb.get_benchmark(line.benchmark).tasks if task.metadata.is_public is not False]
        return [own_task(name, data) or mteb.get_task(name) for name in line.tasks]


def _pinned(task: Any) -> bool:
    return _PIN.fullmatch(task.metadata.dataset["revision"]) is not None


def _run(task: Any, metrics: Sequence[str], encoder: MtebEncoder, cache: ResultCache, way_out: str) -> str:
    """Why a task could not be run; "" if it was, or had been."""
    if read_kept(task, encoder, cache) is not None:
        return ""
    queries, pinned = QueryScores(task, sorted({task.metadata.main_score, *metrics})), _pinned(task)
    began, encoder.seconds = time.monotonic(), 0.0
    encoder.failures.clear()
    encoder.missing.clear()
    try:
        with warnings.catch_warnings(action="ignore"):
            mteb.evaluate(
                cast(Any, encoder), task, cache=cache, co2_tracker=False, show_progress_bar=False, overwrite_strategy="always"
            )
    except PanvecError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever one task of mteb's fails with, the others are run
        return _reason(task, error, way_out)
    seconds = time.monotonic() - began
    missing = {"not_embedded": dict(encoder.failures), "not_embedded_count": len(encoder.missing)}
    found = {"pinned": pinned, "seconds": round(seconds, 3), "intervals": intervals_of(queries.ranked, _SEED), **missing}
    times = {"seconds_in_model": round(encoder.seconds, 3)}
    settings = {"dataset": dict(task.metadata.dataset), **_settings(encoder), **times, **found}
    write_kept(task, encoder, cache, settings, queries.ranked)
    return ""


def _reason(task: Any, error: Exception, way_out: str) -> str:
    said = str(error).strip().splitlines()
    first = said[0] if said else type(error).__name__
    if isinstance(error, OSError):
        size = bytes_of(task)
        about = f", about {size / 1e6:,.0f} MB" if size else ""
        return f"{task.metadata.dataset['path']}{about}, is not in the local cache of the hub: {way_out} ({first})"
    return f"{type(error).__name__}: {first}"


def _settings(encoder: MtebEncoder) -> dict[str, Any]:
    """What is needed to get a result of mteb's again."""
    sizes = {"dim": encoder.dim, "precision": encoder.precision, "seed": _SEED}
    return {**encoder.embedder.settings, **sizes, **surroundings(("mteb", "datasets"))}


def _read(suite: Suite, line: Line, tasks: Sequence[Any], kept: Mapping[str, Kept]) -> Figure:
    values: dict[str, float] = {}
    intervals: list[Interval] = []
    subsets: list[dict[str, Any]] = []
    not_embedded = 0
    for task in tasks:
        if found := kept.get(task.metadata.name):
            metric = _metric(line, task)
            subsets += _subsets(task, found, metric)
            values[task.metadata.name] = float(found.result.get_score(getter=itemgetter(metric)))
            ends = found.settings.get("intervals", {}).get(metric)
            intervals += [(ends[0], ends[1])] if ends else []
            not_embedded += found.settings.get("not_embedded_count", 0)
    if len(values) < len(tasks):
        return Figure(suite.name, line, None, None, values, not_embedded, subsets)
    known = list(values.values())
    interval = of_mean(known, intervals) if len(intervals) == len(known) else None
    return Figure(suite.name, line, sum(known) / len(known), interval, values, not_embedded, subsets)


def _subsets(task: Any, kept: Kept, metric: str) -> list[dict[str, Any]]:
    """The scores of a task that has several subsets, each with its languages."""
    found = [
        {"task": task.metadata.name, "split": split, "subset": each["hf_subset"], "languages": each["languages"]}
        | {"metric": metric, "value": each[metric]}
        for split, scores in kept.result.scores.items()
        for each in scores
    ]
    return found if len({each["subset"] for each in found}) > 1 else []


def _data(name: str, kept: Kept) -> dict[str, Any]:
    """What of the data was read. The hash is of its revision and of the names of the queries."""
    settings = kept.settings
    queries = [(each.split, each.subset, each.queries) for each in kept.ranked]
    digest = hashlib.sha256(repr((settings["dataset"], queries)).encode()).hexdigest()
    return {"name": name, **settings["dataset"], "pinned": settings.get("pinned", False), "sha256": digest}


def _metric(line: Line, task: Any) -> str:
    return str(task.metadata.main_score) if line.metric == "main_score" else line.metric


def _figure(figure: Figure) -> dict[str, Any]:
    beside = published(*figure.line.anchor) if figure.line.anchor else []
    return {
        **asdict(figure.line),
        "value": figure.value,
        "interval": figure.interval,
        "tasks_measured": figure.tasks,
        "not_embedded": figure.not_embedded,
        "subsets": figure.subsets,
        "published": [asdict(score) for score in beside],
    }
