"""`panvec embed` and `panvec similarity`."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from panvec.cli.inputs import AsJson, Threads, text_or_file
from panvec.errors import InputError, PanvecError

_TOGETHER = 32


def embed(
    inputs: Annotated[list[str], typer.Argument(help="Files, folders or texts.")],
    out: Annotated[
        Path | None, typer.Option(help="A .npy, .jsonl or .parquet file (default: JSON lines to the screen).")
    ] = None,
    task: Annotated[str | None, typer.Option(help="What the vectors are for, such as 'document'.")] = None,
    dim: Annotated[int | None, typer.Option(help="A nested dimension: 384, 256, 128 or 64.")] = None,
    precision: Annotated[str, typer.Option(help="float32, int8 or binary.")] = "float32",
    threads: Threads = None,
) -> None:
    """One vector for each input: an existing file or every medium of a folder, anything else as text.

    Examples:

      panvec embed photos/ --out photos.npy

      panvec embed "a red bicycle" bell.wav --task document --dim 128 --out vectors.jsonl
    """
    import numpy as np
    from rich.progress import track

    from panvec.models.embedder import Embedder

    write = _writer(out)
    items = [item for argument in inputs for item in _expand(argument)]
    embedder = Embedder(threads=threads)
    names, rows, failed = [], [], 0
    batches = [items[i : i + _TOGETHER] for i in range(0, len(items), _TOGETHER)]
    shown = track(batches, "embedding", disable=not sys.stderr.isatty() or len(batches) < 2, transient=True)
    for batch in shown:
        made = embedder.embed(batch, task=task, dim=dim, precision=precision, on_error="return")  # type: ignore[arg-type]
        for item, row in zip(batch, made, strict=True):
            if isinstance(row, PanvecError):
                failed += 1
                print(f"not embedded: {row}", file=sys.stderr)
            else:
                names.append(str(item))
                rows.append(row)
    if rows:
        write(names, np.stack(rows), embedder.space_id)
    if out is not None:
        print(f"{len(rows)} vectors in {out}" + (f", {failed} not embedded" if failed else ""), file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def similarity(
    first: Annotated[str, typer.Argument(help="A text or a file.")],
    second: Annotated[str, typer.Argument(help="A text or a file.")],
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """The cosine of two inputs, each a text or a file.

    Example:

      panvec similarity "a cup of coffee" coffee.jpg
    """
    from panvec.models.embedder import Embedder

    vectors = Embedder(threads=threads).embed([text_or_file(first), text_or_file(second)], task="similarity")
    cosine = float(vectors[0] @ vectors[1])
    print(json.dumps({"cosine": cosine}) if as_json else f"{cosine:.4f}")


def _expand(argument: str) -> list[str | Path]:
    from panvec.media.formats import is_media_name

    path = Path(argument)
    try:
        if path.is_dir():
            return sorted(p for p in path.rglob("*") if p.is_file() and is_media_name(p) and not p.name.startswith("."))
    except OSError:
        return [argument]
    return [text_or_file(argument)]


def _writer(out: Path | None) -> Any:
    suffix = out.suffix if out else ".jsonl"
    if suffix not in (".npy", ".jsonl", ".parquet"):
        raise InputError(f"cannot write {out}: its name must end in .npy, .jsonl or .parquet")
    if suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise InputError(f'writing {out} needs pyarrow: pip install "panvec[parquet]"') from None
    return lambda names, vectors, space_id: _write(out, suffix, names, vectors, space_id)


def _write(out: Path | None, suffix: str, names: list[str], vectors: Any, space_id: str) -> None:
    import numpy as np

    if suffix == ".npy" and out:
        np.save(out, vectors)
        out.with_suffix(".names.json").write_text(json.dumps({"space_id": space_id, "names": names}), encoding="utf-8")
    elif suffix == ".parquet" and out:
        import pyarrow
        import pyarrow.parquet

        columns = {"input": names, "vector": list(vectors), "space_id": [space_id] * len(names)}
        pyarrow.parquet.write_table(pyarrow.table(columns), out)
    else:
        rows = zip(names, vectors.tolist(), strict=True)
        lines = "".join(json.dumps({"input": n, "vector": v, "space_id": space_id}) + "\n" for n, v in rows)
        sys.stdout.write(lines) if out is None else out.write_text(lines, encoding="utf-8")
