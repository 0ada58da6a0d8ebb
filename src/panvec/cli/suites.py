"""`panvec eval SUITE`: mteb's benchmarks and tasks like them."""

import json
import logging
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from panvec.cli.inputs import AsJson, say
from panvec.cli.models import Choice, with_model
from panvec.cli.outputs import check_out
from panvec.cli.vectors import Precision
from panvec.errors import InputError
from panvec.evaluation.suite_table import SUITES, unknown

if TYPE_CHECKING:
    from rich.table import Table

    from panvec.evaluation.suites.encoder import MtebEncoder
    from panvec.evaluation.suites.run import Planned, SuiteReport
    from panvec.models.remote.cost import Price

_RESULTS = Path("results")
_WIDE = 10_000


class Suites(typer.core.TyperGroup):
    """Commands of which most are suites."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` name.

        Raises:
            InputError: there is none; the message names the suites.
        """
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise unknown(args[0])
        return super().resolve_command(ctx, args)


def add_suites(app: typer.Typer) -> None:
    """A command for each suite."""
    for suite in SUITES.values():
        app.command(suite.name, help=_help(suite.name, suite.summary))(_command(suite.name))


def need_mteb() -> None:
    """Make sure that mteb is there, and quiet.

    Raises:
        InputError: it is not installed.
    """
    if find_spec("mteb") is None:
        raise InputError('this needs mteb: pip install "panvec[eval]"')
    logging.getLogger("mteb").setLevel(logging.ERROR)


def _help(name: str, summary: str) -> str:
    return (
        f"{summary[0].upper()}{summary[1:]}.\n\nThe data come from the Hugging Face hub; --dry-run says which, and about how "
        "much, and asks no hub; --allow-network fetches what is not in its local cache. Each task is written as soon as it is "
        "done, and a run that was killed goes on where it was.\n\n"
        f"Examples:\n\n  panvec eval {name} --dry-run\n\n  panvec eval {name} --allow-network\n\n"
        f"  panvec eval {name} --model google/embeddinggemma-2 --allow-network --dtype bfloat16"
    )


def _command(name: str) -> Callable[..., None]:
    @with_model
    def run_suite(
        choice: Choice,
        dim: Annotated[int | None, typer.Option(help="A nested dimension (default: the longest).")] = None,
        precision: Annotated[Precision, typer.Option(help="Of the vectors.")] = "float32",
        only: Annotated[list[str] | None, typer.Option(metavar="TASK", help="Only this task; repeatable.")] = None,
        data: Annotated[
            Path | None, typer.Option(help="A folder with data folders named as the data sets of our own tasks.")
        ] = None,
        results: Annotated[Path, typer.Option(help="The folder of results, in mteb's own layout.")] = _RESULTS,
        out: Annotated[Path | None, typer.Option(help="A .json file for the figures, for `panvec report`.")] = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched, and fetch nothing.")] = False,
        as_json: AsJson = False,
    ) -> None:
        need_mteb()
        if out is not None:
            check_out(out, ".json")
        if data is not None and not data.is_dir():
            raise InputError(f"{data} is no folder: --data is the folder that holds a data folder for each of our own tasks")
        encoder = _encoder(choice, dim, precision)
        planned = _plan(name, encoder, results, data, only or []) if dry_run or encoder.embedder.hosted else []
        if dry_run:
            _show_plan(planned, as_json)
            return
        if left := [each for each in planned if not each.done]:
            _agree(choice, left, encoder.embedder.price)
        where = {"data": data, "only": only or [], "allow_network": choice.allow_network}
        _run(name, encoder, results, out, as_json, **where)

    return run_suite


def _encoder(choice: Choice, dim: int | None, precision: Precision) -> "MtebEncoder":
    from panvec.evaluation.suites.encoder import MtebEncoder

    embedder = choice.load()
    if dim is not None and dim not in embedder.dims:
        raise InputError(f"no dim {dim}: the model has {', '.join(map(str, embedder.dims))}")
    return MtebEncoder(embedder, dim=dim, precision=precision)


def _plan(name: str, encoder: "MtebEncoder", results: Path, data: Path | None, only: list[str]) -> "list[Planned]":
    from panvec.evaluation.suites.run import plan, suite_of

    return plan(suite_of(name), encoder, results, data, only)


def _show_plan(planned: "list[Planned]", as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print(json.dumps([asdict(each) for each in planned], indent=2))
        return
    rows = [(p.task, p.metric, "done" if p.done else _megabytes(p.bytes), _origin(p)) for p in planned]
    show(table(("task", "metric", "about MB", "from the hub"), rows))
    sizes: dict[str, int] = {}
    for each in planned:
        if each.revision and not each.done:
            sizes[each.source] = max(sizes.get(each.source, 0), each.bytes or 0)
    unknown = list(sizes.values()).count(0)
    about = f"about {sum(sizes.values()) / 1e9:.1f} GB" if unknown < len(sizes) or not sizes else ""
    more = f"{unknown} of unknown size" if unknown else ""
    print(f"{len(planned)} tasks, {' + '.join(filter(None, (about, more)))} from huggingface.co (estimated)")


def _origin(planned: "Planned") -> str:
    if not planned.revision:
        return f"{planned.source}, from a folder (--data)"
    return f"{planned.source}@{planned.revision[:12]}{'' if planned.pinned else ', not pinned'}"


def _agree(choice: Choice, planned: "list[Planned]", price: "Price | None") -> None:
    """Say what a hosted model would cost, and ask on a terminal.

    Raises:
        InputError: that is not known, and --yes was not given.
    """
    from panvec.evaluation.suites.run import cost_of

    unknown = [each.task for each in planned if each.amount is None]
    if unknown and not choice.yes:
        raise InputError(
            f"what {', '.join(unknown)} would cost is not known before the data are there: --yes sends them all the same, for "
            "no more than --budget where the price is known; --only TASK chooses others"
        )
    choice.agree_to(cost_of(planned, price))


def _run(name: str, encoder: "MtebEncoder", results: Path, out: Path | None, as_json: bool, **options: Any) -> None:
    from panvec.evaluation.suites.run import run, suite_of
    from panvec.files import write_text

    report = run(suite_of(name), encoder, results, say=lambda task: say(f"running {task}"), **options)
    if out is not None:
        write_text(out, json.dumps(report.as_dict(items=True), indent=1, ensure_ascii=False) + "\n")
    if as_json:
        print(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        show(table(("", "metric", "%", "95 %", "not embedded", "published, the same protocol"), _rows(report)))
    for read in report.data:
        if not read["pinned"]:
            say(f"not pinned: {read['name']} was read from {read['path']} at {read['revision']}")
    for task, reason in report.failed.items():
        say(f"not run: {task}: {reason}")
    if report.failed:
        raise typer.Exit(1)


def _rows(report: "SuiteReport") -> list[tuple[str, ...]]:
    from panvec.evaluation.published import published

    rows: list[tuple[str, ...]] = []
    for figure in report.figures:
        best = published(*figure.line.anchor) if figure.line.anchor else []
        value = "" if figure.value is None else f"{100 * figure.value:.1f}"
        interval = "-".join(f"{100 * end:.1f}" for end in figure.interval or ())
        beside = ", ".join(f"{score.model} {score.value}" for score in best[:3]) or figure.line.note
        rows.append((figure.line.name, figure.line.metric, value, interval, str(figure.not_embedded or ""), beside))
    return rows


def _megabytes(size: int | None) -> str:
    return "size unknown" if size is None else f"{size / 1e6:,.0f}"


def show(lines: "Table") -> None:
    """Print a table: as wide as the terminal, or as it needs to be in a pipe."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else _WIDE).print(lines)


def table(headings: tuple[str, ...], rows: Any) -> "Table":
    """Rows of texts under headings."""
    from rich.table import Table
    from rich.text import Text

    lines = Table(box=None, pad_edge=False)
    for heading in headings:
        lines.add_column(heading)
    for row in rows:
        lines.add_row(*map(Text, row))
    return lines
