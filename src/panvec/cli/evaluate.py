"""`panvec eval`."""

import json
import sys
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panvec.cli.inputs import AsJson, say
from panvec.cli.models import Choice, with_model
from panvec.cli.outputs import check_out
from panvec.cli.progress import progress_bar
from panvec.cli.suites import Suites, add_suites, need_mteb, show, table
from panvec.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from panvec.evaluation import Report, Score
    from panvec.evaluation.compare import Difference
    from panvec.evaluation.vectors import Vectors
    from panvec.models.embedder import Embedder
    from panvec.tasks import Task

_SHOWN = 10
_WIDE = 10_000

app = typer.Typer(cls=Suites, help="Scores of a model.", no_args_is_help=True)

add_suites(app)


@app.command()
@with_model
def local(
    choice: Choice,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A data folder, or a folder of data folders.")],
    split: Annotated[
        str | None, typer.Option(help="The split (default: dev, val or validation; all rows where there are no splits).")
    ] = None,
    where: Annotated[list[str] | None, typer.Option(help="Only rows with FIELD=VALUE, such as fold=3; repeatable.")] = None,
    dim: Annotated[list[int] | None, typer.Option(help="A nested dimension; repeatable (default: the longest).")] = None,
    precision: Annotated[list[str] | None, typer.Option(help="float32, int8 or binary; repeatable.")] = None,
    by: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Also score the rows of each value of FIELD, such as language.")
    ] = None,
    with_mteb: Annotated[
        bool, typer.Option("--mteb", help="Also few-shot classification, clustering, STS and translation, by mteb's metrics.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="At most so many rows of a file, drawn at random.", min=1)] = None,
    template: Annotated[
        list[str] | None, typer.Option(help="What a class is called, {} for its name; repeatable: the mean of all.")
    ] = None,
    dev_share: Annotated[
        float, typer.Option(help="Score the share of the rows that a recipe's dev_share kept out of training.", min=0, max=0.9)
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of everything drawn at random.", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option(help="A .json file for the results, with all that is needed to repeat them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a model on data of yours, media and texts: retrieval by captions, by class names, by speech, of mixes.

    A file that cannot be embedded is named and counts as a miss. A split called test is read only with --split test.
    The format of the data is in docs/evaluation.md.

    Examples:

      panvec eval local data/flickr8k --limit 200

      panvec eval local data/urbansound8k --where fold=3 --template "the sound of {}" --dim 384 --dim 64 --out results.json

      panvec eval local data/flickr8k --model gemini:gemini-embedding-2 --allow-network --budget 5
    """
    if out is not None:
        check_out(out, ".json")
    chosen: dict[str, Any] = {
        "split": split,
        "where": _fields(where or []),
        "limit": limit,
        "seed": seed,
        "dev_share": dev_share,
        "by": by,
    }
    options: dict[str, Any] = {"dims": dim, "templates": template, "precisions": precision or ["float32"], **chosen}
    if with_mteb:
        need_mteb()
    from panvec.evaluation import evaluate_local
    from panvec.evaluation.vectors import Vectors

    embedder = choice.load()
    vectors = Vectors(embedder)
    with progress_bar() as progress:
        agree = choice.agreement(embedder, _embedded_again(folder, chosen) if with_mteb and embedder.hosted else None)
        report = evaluate_local(folder, embedder, progress=progress, agree=agree, vectors=vectors, **options)
    if out is not None:
        _write(out, report.as_dict(items=True) | {"mteb": []})
    extra = _with_mteb(folder, vectors, embedder, report.settings) if with_mteb else []
    if out is not None and with_mteb:
        _write(out, report.as_dict(items=True) | {"mteb": extra})
    _say_what_is_missing(report)
    if as_json:
        print(json.dumps(report.as_dict() | {"mteb": extra}, indent=2, ensure_ascii=False))
    else:
        _print(report)
        _print_mteb(extra)


@app.command()
@with_model
def sample(
    choice: Choice,
    data: Annotated[Path | None, typer.Option(help="Another folder of a sample (default: that of panvec).")] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Make the scores the baseline instead of comparing with it.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="A .json file for the results.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score a model on the small sample that comes with panvec, offline, and hold each item against the recorded baseline.

    A score that fell by more than chance (its paired 95 % interval lies below 0) fails: exit 1. So does a recorded score that
    was not made: exit 2.

    Examples:

      panvec eval sample

      panvec eval sample --record
    """
    from panvec.evaluation.sample import against_baseline, evaluate_sample, sample_folder, unrecorded
    from panvec.evaluation.sample import record as keep

    if out is not None:
        check_out(out, ".json")
    folder, embedder = sample_folder(data), choice.load()
    with progress_bar() as progress:
        report = evaluate_sample(folder, embedder, progress, choice.agreement(embedder))
    if out is not None:
        _write(out, report.as_dict(items=True))
    _say_what_is_missing(report)
    if record:
        say(f"recorded {keep(folder, report)}")
        return
    differences = against_baseline(folder, report)
    _show_differences(differences if as_json else [e for e in differences if ", " not in e.data or e.difference], as_json)
    _say_first(unrecorded(folder, report), "not in the baseline, held against nothing")
    fallen = [each for each in differences if each.fell]
    for each in fallen:
        say(f"fell: {each.data}: {each.task} {each.metric}: {100 * each.first:.1f} to {100 * each.second:.1f}")
    if fallen:
        raise typer.Exit(1)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="FIRST.json", help="A result that --out wrote.")],
    second: Annotated[Path, typer.Argument(metavar="SECOND.json", help="Another, on the same data.")],
    seed: Annotated[int, typer.Option(help="Of the bootstrap and of the test.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Say by how much the second result differs from the first on the same items, and whether it is chance.

    Results are those of panvec eval local, sample or a suite; two of a suite may be of vectors of different sizes.

    Examples:

      panvec eval compare nano.json other.json

      panvec eval compare ge2-nano.json ge2-gemma.json --json
    """
    from panvec.evaluation.compare import compare as difference
    from panvec.evaluation.compare import left_out

    one, other = _result(first), _result(second)
    _show_differences(difference(one, other, seed), as_json)
    _say_first(left_out(one, other), f"only in {first}, left out")
    _say_first(left_out(other, one), f"only in {second}, left out")


@app.command()
@with_model
def robustness(
    choice: Choice,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A data folder, or a folder of data folders.")],
    limit: Annotated[int | None, typer.Option(help="At most so many rows of a file, drawn at random.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Of everything drawn at random.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Disturb pictures (re-encoded, cropped, rotated, dark) and sounds (noisy, faster): do they stay what they were?

    Examples:

      panvec eval robustness data/flickr8k --limit 100

      panvec eval robustness data/flickr8k_speech --model google/embeddinggemma-2 --limit 100
    """
    from panvec.evaluation.data import Selection
    from panvec.evaluation.robustness import evaluate_robustness

    embedder = choice.load()
    report = evaluate_robustness(folder, embedder, Selection(limit=limit, seed=seed), choice.agreement(embedder))
    _say_first(_reasons(report.failures), "not embedded, left out", " (--json names them all)")
    if as_json:
        print(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
        return
    headings = ("data", "kind", "disturbance", "items", "cosine", "finds itself %")
    rows = [(e.data, e.kind, e.disturbance, str(e.items), f"{e.cosine:.3f}", f"{100 * e.found:.1f}") for e in report.scores]
    show(table(headings, rows))


def _embedded_again(folder: Path, chosen: dict[str, Any]) -> "dict[Task, list[str]]":
    from panvec.evaluation.data import Selection
    from panvec.evaluation.suites.folder import embedded_again

    return embedded_again(folder, Selection(**chosen))


def _with_mteb(folder: Path, vectors: "Vectors", embedder: "Embedder", settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The scores of mteb's tasks on the rows, and at the dims and precisions, of a report's `settings`."""
    from panvec.evaluation.data import Selection
    from panvec.evaluation.suites.encoder import MtebEncoder
    from panvec.evaluation.suites.folder import evaluate_with_mteb

    chosen = Selection(**{each.name: settings[each.name] for each in fields(Selection)})
    encoder = MtebEncoder(embedder)
    encoder.know(vectors.media())
    scores = [
        score | {"precision": precision}
        for precision, dim in product(settings["precisions"], settings["dims"])
        for score in evaluate_with_mteb(folder, encoder.at(dim, precision), chosen)
    ]
    vectors.failures.update(encoder.failures)
    return scores


def _print_mteb(scores: list[dict[str, Any]]) -> None:
    if scores:
        names, sizes = ("data", "task", "metric"), ("items", "dim", "precision")
        rows = [(*(s[name] for name in names), f"{100 * s['value']:.1f}", *(str(s[name]) for name in sizes)) for s in scores]
        show(table(("data", "task (mteb)", "metric", "%", *sizes), rows))


def _show_differences(differences: "list[Difference]", as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print(json.dumps([asdict(each) | {"fell": each.fell} for each in differences], indent=2, ensure_ascii=False))
        return
    rows = [
        (
            *(each.data, each.task, each.metric, str(each.dim), f"{100 * each.first:.1f}", f"{100 * each.second:.1f}"),
            f"{100 * each.difference:+.1f} ({100 * each.low:+.1f} to {100 * each.high:+.1f})",
            f"{each.p:.4f}",
        )
        for each in differences
    ]
    show(table(("data", "task", "metric", "dim", "before", "after", "difference (95 %)", "p"), rows))


def _result(file: Path) -> dict[str, Any]:
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{file} is no JSON: give a file that panvec eval wrote with --out") from None
    if not isinstance(result, dict):
        raise InputError(f"{file} holds no result: give a file that panvec eval wrote with --out")
    return result


def _write(out: Path, result: dict[str, Any]) -> None:
    from panvec.files import write_text

    write_text(out, json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def _fields(where: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in where]
    wrong = [text for text, (name, equals, _) in zip(where, pairs, strict=True) if not name or not equals]
    if wrong:
        raise InputError(f"--where {wrong[0]!r} has no value: give FIELD=VALUE, such as fold=3")
    return {name: value for name, _, value in pairs}


def _say_what_is_missing(report: "Report") -> None:
    for note in report.notes:
        say(note)
    _say_first(_reasons(report.failures), "not embedded, counted as missed", " (--out and --json name them all)")


def _reasons(failures: dict[str, str]) -> list[str]:
    return [f"{name}: {reason.removeprefix(f'{name}: ')}" for name, reason in failures.items()]


def _say_first(lines: list[str], what: str, rest: str = "") -> None:
    for line in lines[:_SHOWN]:
        say(f"{what}: {line}")
    if len(lines) > _SHOWN:
        say(f"{what}: {len(lines) - _SHOWN} more{rest}")


def _print(report: "Report") -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    for data in report.settings["data"]:
        scores = [score for score in report.scores if score.data == data["name"]]
        split = f", {data['split']}" if data["split"] else ""
        console.print(f"\n{data['name']}{split}, {data['rows']} rows", markup=False, highlight=False)
        console.print(_table(scores))


def _table(scores: "list[Score]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    lines = Table(box=None, pad_edge=False)
    lines.add_column("task")
    lines.add_column("metric", no_wrap=True)
    for heading in ("%", "95 %", "queries", "failed", "of", "dim"):
        lines.add_column(heading, no_wrap=True, justify="right")
    for score in scores:
        interval = f"{100 * score.low:.1f}-{100 * score.high:.1f}"
        size = str(score.dim) if score.precision == "float32" else f"{score.dim} {score.precision}"
        counts = (score.queries, score.failed, score.candidates, size)
        lines.add_row(Text(score.task), score.metric, f"{100 * score.value:.1f}", interval, *map(str, counts))
    return lines
