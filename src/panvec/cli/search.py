"""`panvec search`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panvec.cli.inputs import AsJson, Threads, mixed, text_or_file
from panvec.content import Content
from panvec.errors import InputError

if TYPE_CHECKING:
    from panvec.collections.folder import Folder, Hit


def search(
    query: Annotated[str | None, typer.Argument(help="Text, or a file to search with.")] = None,
    folder: Annotated[Path | None, typer.Argument(help="The folder to search in.")] = None,
    count: Annotated[int, typer.Option("-k", "--count", help="How many results.", min=1)] = 10,
    kind: Annotated[str | None, typer.Option(help="Only image, audio, video or document.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="Text, as a part of a mixed query.")] = None,
    image: Annotated[list[str] | None, typer.Option(help="An image, as a part of a mixed query.")] = None,
    audio: Annotated[list[str] | None, typer.Option(help="A sound, as a part of a mixed query.")] = None,
    video: Annotated[list[str] | None, typer.Option(help="A video, as a part of a mixed query.")] = None,
    document: Annotated[list[str] | None, typer.Option(help="A document, as a part of a mixed query.")] = None,
    refresh: Annotated[bool, typer.Option(help="Embed every file again.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no vectors on disk.")] = False,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Find what is nearest to a text, a file or a mix of both in a folder of any media.

    Vectors of the folder are cached; only new and changed files are embedded again.

    Examples:

      panvec search "a dog catching a ball" examples/media

      panvec search bark.wav ~/Videos --kind video

      panvec search --text "the same place at night" --image park.jpg ~/Pictures
    """
    from panvec.collections.folder import Folder, default_cache
    from panvec.models.embedder import Embedder

    mix = mixed() if any((text, image, audio, video, document)) else None
    if mix is not None and folder is None and query is not None:
        folder, query = Path(query), None
    if folder is None or (query is None) == (mix is None):
        raise InputError("give a query (text, a file, or --text, --image, ...) and one folder: see panvec search --help")
    if kind not in (None, "image", "audio", "video", "document"):
        raise InputError(f"unknown kind {kind!r}: use image, audio, video or document")
    embedder = Embedder(threads=threads)
    vector = embedder.embed(mix or Content(text_or_file(str(query))), task="search query")[0]
    collection = Folder(folder, embedder, None if no_cache else default_cache())
    embedded = _update(collection, refresh)
    hits = collection.search(vector, count=count, kind=kind)
    if as_json:
        rows = [
            {
                "file": str(folder / h.path),
                "kind": h.kind,
                "score": round(h.score, 6),
                "where": str(h.span),
                "span": vars(h.span),
            }
            for h in hits
        ]
        print(json.dumps({"space_id": embedder.space_id, "embedded": embedded, "hits": rows, "errors": collection.errors}))
        return
    _print(hits, folder)
    for name, reason in collection.errors.items():
        print(f"not searched: {name}: {reason}", file=sys.stderr)


def _update(collection: "Folder", refresh: bool) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("embedding"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        return int(
            collection.update(
                lambda done, of, name: bar.update(task, completed=done, total=of, description=name), again=refresh
            )
        )


def _print(hits: "list[Hit]", folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not hits:
        print(f"nothing to find in {folder}")
        return
    table = Table("", "file", "kind", "score", "where", box=None, pad_edge=False)
    for rank, hit in enumerate(hits, 1):
        table.add_row(str(rank), Text(hit.path), hit.kind, f"{hit.score:.3f}", str(hit.span))
    Console().print(table)
