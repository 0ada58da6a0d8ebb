"""`panvec embed` and `panvec similarity`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from panvec.cli.inputs import AsJson, is_file, say, text_or_file
from panvec.cli.models import Choice, with_model
from panvec.cli.outputs import Sink, check_vectors_out, open_sink
from panvec.cli.progress import progress_bar
from panvec.errors import InputError, MediaError, PanvecError

if TYPE_CHECKING:
    from panvec.models.embedder import Embedder

_TOGETHER = 32
_TEXTS_NAMED = 3

Precision: TypeAlias = Literal["float32", "int8", "binary"]


@with_model
def embed(
    choice: Choice,
    inputs: Annotated[list[str] | None, typer.Argument(help="Files, folders or texts.")] = None,
    text_file: Annotated[Path | None, typer.Option(help="A file with a text in each line; blank lines are left out.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="A .npy, .jsonl or .parquet file (default: JSON lines to the screen).")
    ] = None,
    task: Annotated[str | None, typer.Option(help="What the vectors are for, such as 'document'.")] = None,
    dim: Annotated[int | None, typer.Option(help="A nested dimension; of nano 384, 256, 128 or 64.")] = None,
    precision: Annotated[Precision, typer.Option(help="The numbers of a vector.")] = "float32",
    as_json: Annotated[bool, typer.Option("--json", help="With --out: what was written, as JSON.")] = False,
) -> None:
    """One vector for each input: an existing file or every medium of a folder, anything else as text.

    What cannot be embedded is named and left out, and the exit code is 1.

    Examples:

      panvec embed photos/ --out photos.npy

      panvec embed "a red bicycle" bell.wav --task document --dim 128 --out vectors.jsonl

      panvec embed --text-file sentences.txt --out sentences.parquet

      panvec embed photos/ --model google/embeddinggemma-2 --allow-network --dtype bfloat16 --out photos.npy

      panvec embed photos/ --model gemini:gemini-embedding-2 --allow-network --budget 5 --out photos.npy
    """
    if out is not None:
        check_vectors_out(out)
    items = _items(inputs or [], text_file)
    embedder = choice.load()
    choice.agree(embedder, items)
    options = {"task": task, "dim": dim, "precision": precision}
    with open_sink(sys.stdout if out is None else out, embedder.space_id) as sink:
        errors = _embed(embedder, items, sink, options, quiet=out is None and sys.stdout.isatty())
    for _, reason in errors:
        say(f"not embedded: {reason}")
    if out is not None:
        _report(out, embedder, len(items) - len(errors), errors, as_json)
    if errors:
        raise typer.Exit(1)


@with_model
def similarity(
    choice: Choice,
    first: Annotated[str, typer.Argument(help="A text or a file.")],
    second: Annotated[str, typer.Argument(help="A text or a file.")],
    as_json: AsJson = False,
) -> None:
    """The cosine of two inputs, each a text or a file.

    Example:

      panvec similarity "a cup of coffee" coffee.jpg
    """
    pair = [text_or_file(first), text_or_file(second)]
    vectors = choice.load().embed(pair, task="similarity")
    cosine = float(vectors[0] @ vectors[1])
    print(json.dumps({"cosine": cosine}) if as_json else f"{cosine:.4f}")


def _items(arguments: list[str], text_file: Path | None) -> list[str | Path]:
    texts = [argument for argument in arguments if not is_file(argument) and not _is_folder(argument)]
    if texts:
        more = ", ..." if len(texts) > _TEXTS_NAMED else ""
        say(f"no files, taken as text: {', '.join(map(repr, texts[:_TEXTS_NAMED]))}{more}")
    items = [item for argument in arguments for item in _expand(argument)]
    if text_file is not None:
        items += _lines_of(text_file)
    if not items:
        raise InputError("nothing to embed: give files, folders or texts, or --text-file")
    return items


def _is_folder(argument: str) -> bool:
    try:
        return argument != "" and Path(argument).is_dir()
    except (OSError, ValueError):
        return False


def _expand(argument: str) -> list[str | Path]:
    from panvec.collections.folder import media_files

    if not _is_folder(argument):
        return [Path(argument) if is_file(argument) else argument]
    found: list[str | Path] = list(media_files(Path(argument)))
    if not found:
        say(f"there is no medium in {argument}")
    return found


def _lines_of(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise MediaError(f"{file}: is no text in UTF-8: convert it first") from None


def _embed(
    embedder: "Embedder", items: list[str | Path], sink: Sink, options: dict[str, Any], *, quiet: bool
) -> list[tuple[str, str]]:
    """Write the vectors of `items` to `sink`; the name and the reason of each that has none."""
    import numpy as np

    errors = []
    with progress_bar(hidden=quiet) as progress:
        for start in range(0, len(items), _TOGETHER):
            batch = items[start : start + _TOGETHER]
            progress(start, len(items), _name(batch[0]))
            rows = embedder.embed(batch, on_error="return", **options)
            made = [(_name(item), row) for item, row in zip(batch, rows, strict=True) if not isinstance(row, PanvecError)]
            errors += [(_name(item), str(row)) for item, row in zip(batch, rows, strict=True) if isinstance(row, PanvecError)]
            if made:
                sink([name for name, _ in made], np.stack([row for _, row in made]))
    return errors


def _report(out: Path, embedder: "Embedder", count: int, errors: list[tuple[str, str]], as_json: bool) -> None:
    if as_json:
        failed = [{"input": name, "error": reason} for name, reason in errors]
        print(json.dumps({"out": str(out), "vectors": count, "space_id": embedder.space_id, "errors": failed}))
    else:
        failure = f", {len(errors)} not embedded" if errors else ""
        say(f"{count} vector{'' if count == 1 else 's'} in {out}{failure}" if count else f"nothing written to {out}{failure}")


def _name(item: str | Path) -> str:
    return str(item).encode("utf-8", "backslashreplace").decode()
