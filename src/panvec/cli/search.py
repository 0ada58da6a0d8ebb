"""`panvec search`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from panvec.cli.inputs import AsJson, mixed, on_one_line, say, text_or_file
from panvec.cli.models import Choice, with_model
from panvec.cli.progress import progress_bar
from panvec.content import Content
from panvec.errors import InputError, MediaError

if TYPE_CHECKING:
    from panvec.collections.folder import Folder, Hit

_ERRORS_SHOWN = 10
_WIDE = 10_000


@with_model
def search(
    choice: Choice,
    ctx: typer.Context,
    query: Annotated[str | None, typer.Argument(help="Text, or a file to search with.")] = None,
    folder: Annotated[Path | None, typer.Argument(help="The folder to search in.")] = None,
    count: Annotated[int, typer.Option("-k", "--count", help="How many results.", min=1)] = 10,
    kind: Annotated[Literal["image", "audio", "video", "document"] | None, typer.Option(help="Only this kind.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="Text, as a part of a mixed query.")] = None,
    image: Annotated[list[str] | None, typer.Option(help="An image, as a part of a mixed query.")] = None,
    audio: Annotated[list[str] | None, typer.Option(help="A sound, as a part of a mixed query.")] = None,
    video: Annotated[list[str] | None, typer.Option(help="A video, as a part of a mixed query.")] = None,
    document: Annotated[list[str] | None, typer.Option(help="A document, as a part of a mixed query.")] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Embed every file again.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Read and keep no vectors on disk.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find what is nearest to a text, a file or a mix of both in a folder of any media.

    Vectors of the folder are cached; only new and changed files are embedded again.

    Examples:

      panvec search "a dog catching a ball" examples/media

      panvec search bark.wav ~/Videos --kind video

      panvec search --text "the same place at night" --image park.jpg ~/Pictures

      panvec search "a dog" ~/Pictures --model google/embeddinggemma-2 --allow-network
    """
    mix = mixed(ctx, {"text": text, "image": image, "audio": audio, "video": video, "document": document})
    if mix is not None and folder is None and query is not None:
        folder, query = Path(query), None
    if folder is None or (query is None) == (mix is None):
        raise InputError("give a query (text, a file, or --text, --image, ...) and one folder: see panvec search --help")
    if not folder.is_dir():
        raise MediaError(f"{folder} is no folder: name the folder to search in")
    content = mix or Content(text_or_file(str(query)))
    collection, hits, embedded = _search(content, folder, count, kind, refresh, no_cache, choice)
    for note in collection.notes:
        say(note)
    if as_json:
        rows = [_row(hit, folder) for hit in hits]
        found = {"space_id": collection.embedder.space_id, "embedded": embedded, "hits": rows, "errors": collection.errors}
        print(json.dumps(found))
        return
    _print(hits, folder)
    _print_errors(collection.errors)


def _search(
    content: Content, folder: Path, count: int, kind: str | None, refresh: bool, no_cache: bool, choice: Choice
) -> "tuple[Folder, list[Hit], int]":
    from panvec.collections.folder import Folder, default_cache

    embedder = choice.load()
    vector = embedder.embed(content, task="search query")[0]
    collection = Folder(folder, embedder, None if no_cache else default_cache())
    with progress_bar() as progress:
        embedded = collection.update(progress, again=refresh, agree=choice.agreement(embedder))
    return collection, collection.search(vector, count=count, kind=kind), embedded


def _row(hit: "Hit", folder: Path) -> dict[str, Any]:
    return {
        "file": str(folder / hit.path),
        "kind": hit.kind,
        "score": round(hit.score, 6),
        "where": str(hit.span),
        "span": vars(hit.span),
    }


def _print(hits: "list[Hit]", folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not hits:
        print(f"nothing to find in {folder}")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("file", overflow="fold")
    for heading in ("kind", "score", "where"):
        table.add_column(heading, no_wrap=True)
    for rank, hit in enumerate(hits, 1):
        table.add_row(str(rank), Text(on_one_line(hit.path)), hit.kind, f"{hit.score:.3f}", str(hit.span))
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def _print_errors(errors: dict[str, str]) -> None:
    for name, reason in list(errors.items())[:_ERRORS_SHOWN]:
        say(f"not searched: {name}: {reason}")
    if len(errors) > _ERRORS_SHOWN:
        say(f"not searched: {len(errors) - _ERRORS_SHOWN} more (--json names them all)")
