"""The page: what was measured, beside what was published under the same protocol, charts, and the worst misses."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

from panvec.evaluation.page.charts import Bar, bars, lines, radar
from panvec.evaluation.page.media import show
from panvec.evaluation.page.results import Result, read_results

Score: TypeAlias = dict[str, Any]
_BYTES = {"float32": 4.0, "int8": 1.0, "binary": 0.125}
_MAIN = ("R@1", "accuracy", "R@5", "R@10", "Spearman")
"""The metrics of which the first that a task has stands for it in the charts."""

_MTEB = ("data", "task", "metric", "dim", "precision")


def build_page(results: Sequence[Path]) -> str:
    """One HTML page about results, complete in itself: it loads nothing.

    Raises:
        InputError: a file is no result.
    """
    read = read_results(results)
    local = [result for result in read if result.kind == "local"]
    parts = [_head(read), _suites([result for result in read if result.kind == "suite"])]
    parts += [_charts(local), _table_of_scores(local), _mteb(local), _gaps(local), _misses(local), _settings(read)]
    style = files("panvec.evaluation.page").joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>panvec: evaluation</title>\n<style>\n{style}</style>\n</head>\n<body>\n{''.join(parts)}</body>\n</html>\n"
    )


def _head(results: Sequence[Result]) -> str:
    names = ", ".join(dict.fromkeys(escape(result.content["space_id"]) for result in results))
    dates = sorted(_settings_of(result).get("date", "")[:10] for result in results)
    return f"<h1>Evaluation</h1>\n<p>{names}. Measured {escape(dates[0])}{_until(dates)}. Figures are percent.</p>\n"


def _until(dates: Sequence[str]) -> str:
    return f" to {escape(dates[-1])}" if dates[0] != dates[-1] else ""


def _suites(results: Sequence[Result]) -> str:
    """A table for each suite: the measured columns, then the published ones of the same protocol, in italics."""
    by_suite: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_suite[result.content["suite"]].append(result)
    return "".join(_suite(name, group) for name, group in by_suite.items()) + _fields(results)


def _suite(name: str, results: Sequence[Result]) -> str:
    figures = [{figure["name"]: figure for figure in result.content["figures"]} for result in results]
    beside = {line: {p["model"]: p for p in figure["published"]} for line, figure in figures[0].items()}
    models = list(dict.fromkeys(model for known in beside.values() for model in known))
    rows = [
        [
            escape(line),
            escape(figure["metric"]),
            *(_figure(each.get(line, {})) for each in figures),
            *(_number(beside[line].get(model, {}).get("value"), 1) for model in models),
            escape(figure["note"]),
        ]
        for line, figure in figures[0].items()
    ]
    measured = [(escape(result.name), "n") for result in results]
    headings = [("", ""), ("metric", ""), *measured, *((escape(model), "n published") for model in models), ("", "")]
    sources = sorted({f"{p['model']}: {p['source']}" for known in beside.values() for p in known.values()})
    note = (
        f"<p>In italics: published, under the same protocol, not measured here. {escape('; '.join(sources))}.</p>"
        if sources
        else ""
    )
    drawn = "<p>In brackets: the 95 % bootstrap interval over queries. Without brackets, mteb keeps no score of each item.</p>"
    title = f"<h2>Suite {escape(name)}</h2>\n"
    charts = f'<div class="charts">{_suite_bars(name, figures, results)}{_suite_cost(figures, results)}</div>'
    return f"{title}{_table(headings, rows)}{drawn}{note}{charts}{_languages(results)}{_suite_misses(results)}\n"


def _suite_bars(name: str, figures: Sequence[dict[str, Any]], results: Sequence[Result]) -> str:
    """The measured figures that have an interval."""
    rows = [
        Bar(line if len(results) == 1 else f"{line}, {result.name}", found["value"], low, high, series)
        for line in figures[0]
        for series, (result, each) in enumerate(zip(results, figures, strict=True))
        if (found := each.get(line, {})).get("interval")
        for low, high in [found["interval"]]
    ]
    return f"<section>{bars(f'{name}: scores', rows)}</section>" if rows else ""


def _suite_cost(figures: Sequence[dict[str, Any]], results: Sequence[Result]) -> str:
    """The mean of the figures that every result has against the bytes of a vector, where results have several sizes of it."""
    common = [line for line in figures[0] if all(each.get(line, {}).get("value") is not None for each in figures)]
    points: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for result, each in zip(results, figures, strict=True) if common else ():
        dim, precision = (result.content["settings"].get(name) for name in ("dim", "precision"))
        if dim:
            mean = _mean([each[line]["value"] for line in common])
            label = f"{dim} {precision}: {100 * mean:.1f}"
            points[f"{result.content['space_id']}, {precision}"].append((dim * _BYTES[precision], mean, label))
    return _cost_chart({name: sorted(each) for name, each in points.items()}, "mean of the figures that all have")


def _suite_misses(results: Sequence[Result]) -> str:
    shown = cache(show)
    cards = [
        f'<article class="miss"><strong>{escape(miss["data"])}</strong>, {escape(miss["subset"])}{_of_model(results, result)}'
        f"<dl><dt>{escape(miss['metric'])} {100 * miss['score']:.1f}</dt>{_parts(miss['query'], shown)}</dl></article>"
        for result in results
        for miss in result.content.get("worst", ())
    ]
    summary = f"Worst misses ({len(cards)}): media of data sets of the hub are only named"
    return _folded(summary, f'<div class="misses">{"".join(cards)}</div>') if cards else ""


def _languages(results: Sequence[Result]) -> str:
    """For each language the mean over the subsets of multilingual tasks that are in it."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        for subset in (each for figure in result.content["figures"] for each in figure.get("subsets", ())):
            for language in subset["languages"]:
                values[language][result.name].append(subset["value"])
    rows = [
        [escape(language), str(max(map(len, own.values()))), *(_number(_mean_of(own.get(r.name)), 100) for r in results)]
        for language, own in sorted(values.items())
    ]
    headings = [("language", ""), ("subsets", "n"), *((escape(result.name), "n") for result in results)]
    return _folded(f"By language ({len(rows)})", _table(headings, rows)) if rows else ""


def _fields(results: Sequence[Result]) -> str:
    """The radar by field, where there are at least three."""
    series: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        for figure in result.content["figures"]:
            if figure["value"] is not None and figure["field"]:
                series[result.name][figure["field"]].append(figure["value"])
    axes = list(dict.fromkeys(field for each in series.values() for field in each))
    return f'<div class="charts">{_radar(axes, series)}</div>\n'


def _radar(axes: Sequence[str], series: dict[str, Any]) -> str:
    if len(axes) < 3:
        return ""
    means = {name: [_mean_of(each.get(axis)) for axis in axes] for name, each in series.items()}
    chart = radar("scores by field", axes, means)
    return f"<section><h3>By field</h3>{chart}</section>"


def _charts(results: Sequence[Result]) -> str:
    if not results:
        return ""
    by_data: dict[str, list[Bar]] = defaultdict(list)
    for series, result in enumerate(results):
        for heading, label, score in _labelled(result):
            name = label if len(results) == 1 else f"{label}, {result.name}"
            by_data[heading].append(Bar(name, score["value"], score["low"], score["high"], series))
    drawn = [f"<section><h3>{escape(data)}</h3>{bars(f'{data}: scores', rows)}</section>" for data, rows in by_data.items()]
    charts = f'<div class="charts">{"".join(drawn)}</div>\n'
    glance = f'<div class="charts">{_cost(results)}{_local_radar(results)}</div>'
    return f"<h2>At a glance</h2>\n{glance}\n<h2>Scores with 95 % intervals</h2>\n{charts}"


def _labelled(result: Result) -> Iterator[tuple[str, str, Score]]:
    """Each main score with its heading and label; of parts of data, such as languages, the first task of each part."""
    seen = set()
    for score in _main_scores(result):
        data, _, part = score["data"].partition(", ")
        if not part:
            yield data, f"{score['task']}: {score['metric']}", score
        elif score["data"] not in seen:
            seen.add(score["data"])
            yield f"{data}, {score['task']} by {part.split()[0]}: {score['metric']}", part.partition(" ")[2], score


def _main_scores(result: Result) -> list[Score]:
    """For each task the first of the main metrics, at the longest dimension in float32."""
    longest = max(score["dim"] for score in result.content["scores"])
    first: dict[tuple[str, str], Score] = {}
    for metric in _MAIN:
        for score in result.content["scores"]:
            if score["metric"] == metric and score["dim"] == longest and score.get("precision", "float32") == "float32":
                first.setdefault((score["data"], score["task"]), score)
    order = {key: place for place, key in enumerate((s["data"], s["task"]) for s in result.content["scores"])}
    return [first[key] for key in sorted(first, key=lambda key: order[key])]


def _cost(results: Sequence[Result]) -> str:
    """Mean score against the bytes of a vector, for each precision, where there is more than one size."""
    series: dict[str, list[tuple[float, float, str]]] = {}
    for result in results:
        main = {(score["data"], score["task"], score["metric"]) for score in _main_scores(result)}
        sizes: dict[tuple[str, int], list[float]] = defaultdict(list)
        for score in result.content["scores"]:
            if (score["data"], score["task"], score["metric"]) in main:
                sizes[score.get("precision", "float32"), score["dim"]].append(score["value"])
        for (precision, dim), values in sorted(sizes.items(), key=lambda item: item[0][1]):
            cost = dim * _BYTES[precision]
            name = precision if len(results) == 1 else f"{result.name}, {precision}"
            series.setdefault(name, []).append((cost, _mean(values), f"{dim} {precision}: {100 * _mean(values):.1f}"))
    return _cost_chart(series, "mean of the scores below")


def _cost_chart(series: dict[str, list[tuple[float, float, str]]], quality: str) -> str:
    if len({cost for each in series.values() for cost, _, _ in each}) < 2:
        return ""
    chart = lines("quality against cost", "bytes of a vector", series)
    return f"<section><h3>Quality ({quality}) against cost</h3>{chart}</section>"


def _local_radar(results: Sequence[Result]) -> str:
    series: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        for score in _main_scores(result):
            if ", " not in score["data"]:
                series[result.name][score["data"]].append(score["value"])
    return _radar(list(dict.fromkeys(data for each in series.values() for data in each)), series)


def _table_of_scores(results: Sequence[Result]) -> str:
    if not results:
        return ""
    names = ("data", "task", "metric", "dim", "precision")
    cells: dict[tuple[Any, ...], dict[int, Score]] = defaultdict(dict)
    for place, result in enumerate(results):
        for score in result.content["scores"]:
            cells[(*(score[name] for name in names[:4]), score.get("precision", "float32"))][place] = score
    rows = [
        [*(escape(str(part)) for part in key), *(_interval(found.get(i)) for i in range(len(results)))]
        for key, found in cells.items()
    ]
    headings = [(name, "") for name in names] + [(escape(result.name), "n") for result in results]
    summary = f"{len(rows)} scores, each with its 95 % interval"
    return f"<h2>All scores</h2>\n{_folded(summary, _table(headings, rows))}\n"


def _mteb(results: Sequence[Result]) -> str:
    rows = [
        (result, [*(escape(str(s[name])) for name in _MTEB), _number(s["value"], 100)])
        for result in results
        for s in ({"precision": "float32"} | each for each in result.content.get("mteb", ()))
    ]
    headings = [*((name, "") for name in _MTEB), ("%", "n")]
    return f"<h2>By mteb's metrics</h2>\n{_named_table(results, headings, rows)}\n" if rows else ""


def _gaps(results: Sequence[Result]) -> str:
    measures = {"distance": "between the means", "matched": "cosine of pairs", "unmatched": "of all others"}
    rows = [
        (result, [escape(g["data"]), escape(f"{g['first']}, {g['second']}"), *(f"{g[name]:.3f}" for name in measures)])
        for result in results
        for g in result.content.get("gaps", ())
    ]
    headings = [("data", ""), ("of", ""), *((name, "n") for name in measures.values())]
    return f"<h2>Modality gap</h2>\n{_named_table(results, headings, rows)}\n" if rows else ""


def _named_table(
    results: Sequence[Result], headings: Sequence[tuple[str, str]], rows: Sequence[tuple[Result, list[str]]]
) -> str:
    """A table whose rows begin with the name of their result, where there are several."""
    if len(results) == 1:
        return _table(headings, [cells for _, cells in rows])
    return _table([("", ""), *headings], [[escape(result.name), *cells] for result, cells in rows])


def _misses(results: Sequence[Result]) -> str:
    shown = cache(show)
    cards = [
        f'<article class="miss"><strong>{escape(miss["task"])}</strong>, {escape(miss["data"])}{_of_model(results, result)}<dl>'
        f"<dt>asked</dt>{_parts(miss['query'], shown)}<dt>right, at rank {miss['rank']}</dt>{_parts(miss['expected'], shown)}"
        f"<dt>first instead</dt>{_parts(miss['found'], shown)}</dl></article>"
        for result in results
        for miss in result.content.get("worst", ())
        if ", " not in miss["data"]
    ]
    return f'<h2>Worst misses</h2>\n<div class="misses">{"".join(cards)}</div>\n' if cards else ""


def _of_model(results: Sequence[Result], result: Result) -> str:
    return f", {escape(result.name)}" if len(results) > 1 else ""


def _parts(parts: Iterable[dict[str, str]], shown: Callable[[str, str], str]) -> str:
    return "".join(f"<dd>{shown(part['kind'], part['value'])}</dd>" for part in parts)


def _settings(results: Sequence[Result]) -> str:
    left_out = ("scores", "worst", "gaps", "figures", "mteb")
    kept = {result.name: {k: v for k, v in result.content.items() if k not in left_out} for result in results}
    text = escape(json.dumps(kept, indent=1, ensure_ascii=False))
    folded = _folded("Space id, data, versions, machine", f"<pre>{text}</pre>")
    return f"<h2>How to get these again</h2>\n{folded}\n"


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>{body}</details>"


def _settings_of(result: Result) -> dict[str, Any]:
    return result.content if result.kind == "local" else dict(result.content["settings"])


def _table(headings: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> str:
    classes = [kind for _, kind in headings]
    head = _row("th", classes, [name for name, _ in headings])
    body = "".join(_row("td", classes, row) for row in rows)
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _row(tag: str, classes: Sequence[str], cells: Sequence[str]) -> str:
    inner = (f'<{tag} class="{kind}">{cell}</{tag}>' for kind, cell in zip(classes, cells, strict=True))
    return f"<tr>{''.join(inner)}</tr>"


def _interval(score: Score | None) -> str:
    return "" if score is None else f"{100 * score['value']:.1f} ({100 * score['low']:.1f}-{100 * score['high']:.1f})"


def _figure(figure: dict[str, Any]) -> str:
    """A measured figure of a suite, with its interval where it has one."""
    value, interval = figure.get("value"), figure.get("interval")
    if value is None or interval is None:
        return _number(value, 100)
    return _interval({"value": value, "low": interval[0], "high": interval[1]})


def _number(value: float | None, scale: float) -> str:
    return "" if value is None else f"{scale * value:.1f}"


def _mean_of(values: Sequence[float] | None) -> float | None:
    return _mean(values) if values else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
