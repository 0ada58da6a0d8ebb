"""`panvec eval`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panvec.cli.inputs import AsJson, Threads, say
from panvec.cli.progress import progress_bar
from panvec.cli.suites import add_suites
from panvec.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from panvec.evaluation import Report, Score

_ERRORS_SHOWN = 10
_WIDE = 10_000

app = typer.Typer(help="Scores of a model.", no_args_is_help=True)


add_suites(app)


@app.command()
def local(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A data folder, or a folder of data folders.")],
    split: Annotated[
        str | None, typer.Option(help="The split (default: dev, val or validation; all rows where there are no splits).")
    ] = None,
    where: Annotated[list[str] | None, typer.Option(help="Only rows with FIELD=VALUE, such as fold=3; repeatable.")] = None,
    model: Annotated[str, typer.Option(help="A model of `panvec models`.")] = "nano",
    dim: Annotated[list[int] | None, typer.Option(help="A nested dimension; repeatable (default: the longest).")] = None,
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
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Score a model on data of yours: retrieval by captions, by class names, by speech, of mixes.

    A file that cannot be embedded is named and counts as a miss. A split called test is read only with --split test.
    The format of the data is in docs/evaluation.md.

    Examples:

      panvec eval local data/flickr8k --limit 200

      panvec eval local data/urbansound8k --where fold=3 --template "the sound of {}" --dim 384 --dim 64 --out results.json
    """
    if out is not None:
        _check_out(out)
    options = {
        "split": split,
        "where": _fields(where or []),
        "limit": limit,
        "dims": dim,
        "templates": template,
        "seed": seed,
        "dev_share": dev_share,
    }
    report = _evaluate(folder, model, threads, options)
    text = json.dumps(report.as_dict(), indent=2, ensure_ascii=False)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    _say_what_is_missing(report)
    if as_json:
        print(text)
    else:
        _print(report)


def _evaluate(folder: Path, model: str, threads: int | None, options: dict[str, Any]) -> "Report":
    from panvec.evaluation import evaluate_local
    from panvec.models.embedder import Embedder

    embedder = Embedder(model, threads=threads)
    with progress_bar() as progress:
        return evaluate_local(folder, embedder, progress=progress, **options)


def _check_out(out: Path) -> None:
    if out.suffix != ".json":
        raise InputError(f"cannot write {out}: its name must end in .json")
    if not out.parent.is_dir():
        raise InputError(f"cannot write {out}: there is no folder {out.parent}")


def _fields(where: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in where]
    wrong = [text for text, (name, equals, _) in zip(where, pairs, strict=True) if not name or not equals]
    if wrong:
        raise InputError(f"--where {wrong[0]!r} has no value: give FIELD=VALUE, such as fold=3")
    return {name: value for name, _, value in pairs}


def _say_what_is_missing(report: "Report") -> None:
    for note in report.notes:
        say(note)
    for name, reason in list(report.failures.items())[:_ERRORS_SHOWN]:
        say(f"not embedded, counted as missed: {name}: {reason.removeprefix(f'{name}: ')}")
    if len(report.failures) > _ERRORS_SHOWN:
        say(f"not embedded, counted as missed: {len(report.failures) - _ERRORS_SHOWN} more (--out and --json name them all)")


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

    table = Table(box=None, pad_edge=False)
    table.add_column("task")
    table.add_column("metric", no_wrap=True)
    for heading in ("%", "95 %", "queries", "failed", "of", "dim"):
        table.add_column(heading, no_wrap=True, justify="right")
    for score in scores:
        interval = f"{100 * score.low:.1f}-{100 * score.high:.1f}"
        counts = (score.queries, score.failed, score.candidates, score.dim)
        table.add_row(Text(score.task), score.metric, f"{100 * score.value:.1f}", interval, *map(str, counts))
    return table
