"""`panvec train`, `panvec release`, `panvec soup`, `panvec mine`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panvec.cli.inputs import Threads, say
from panvec.cli.models import Choice, with_model
from panvec.errors import InputError

if TYPE_CHECKING:
    from panvec.training.loop import Training
    from panvec.training.plan import Plan
    from panvec.training.release import Released

Data = Annotated[
    list[Path] | None, typer.Option(help="A folder in which the recipe's data is looked for; repeatable (default: data).")
]
Cache = Annotated[Path, typer.Option(help="Tower outputs and text vectors, shared by all runs.")]
_CACHE = Path("runs/cache")


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/nano.yaml.")],
    data: Data = None,
    run: Annotated[
        Path | None, typer.Option("--run-dir", help="Checkpoints, logs and the release (default: runs/NAME of the recipe).")
    ] = None,
    cache: Cache = _CACHE,
    until: Annotated[int | None, typer.Option(help="Stop after this step.", min=1)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan: data, steps, hours, memory.")] = False,
    no_release: Annotated[bool, typer.Option("--no-release", help="Train only.")] = False,
    shard: Annotated[bool, typer.Option("--shard", help="Split the weights over the processes (FSDP).")] = False,
    threads: Threads = None,
) -> None:
    """Train a model by a recipe and release its weights; the same command goes on where it was cut.

    On several processes or machines it runs under torchrun, one process a device.

    Examples:

      panvec train recipes/nano.yaml --data data --dry-run

      panvec train recipes/nano.yaml --data data

      torchrun --nproc-per-node 8 -m panvec train recipes/nano.yaml --data data --shard
    """
    plan, training = _needs_torch()
    from panvec.training.log import Log
    from panvec.training.recipe import read_recipe
    from panvec.training.tasks import Place

    read = read_recipe(recipe)
    place = Place(tuple(data or [Path("data")]), run or Path("runs") / read.name, cache, threads, shard)
    if dry_run:
        _print_plan(plan(read, place, Log(place.run, quiet=True)))
        return
    first = os.environ.get("RANK", "0") == "0"
    job: Training = training(read, place, Log(place.run, first=first))
    try:
        job.run(until)
    finally:
        job.log.end()
    if first and not no_release and (until is None or until >= job.steps()):
        _release(job, place.run / "release")


def release(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="A new folder (default: RUN/release).")] = None,
    cache: Cache = _CACHE,
    limit: Annotated[int | None, typer.Option(help="At most so many rows of each development set.", min=1)] = None,
    threads: Threads = None,
) -> None:
    """Release a run: soup, export, scores before and after, model card.

    Example:

      panvec release runs/panvec-nano --data data --out weights
    """
    _, training = _needs_torch()
    from panvec.training.log import Log
    from panvec.training.loop import RECIPE
    from panvec.training.recipe import Recipe
    from panvec.training.tasks import Place

    if not (run / RECIPE).is_file():
        raise InputError(f"{run} is no run: it has no {RECIPE}")
    recipe = Recipe.model_validate_json((run / RECIPE).read_text(encoding="utf-8"))
    place: Place = Place(tuple(data or [Path("data")]), run, cache, threads)
    _release(training(recipe, place, Log(run)), out or run / "release", limit)


def soup(
    checkpoints: Annotated[list[str], typer.Argument(metavar="RUN:STEP[=WEIGHT]...", help="Checkpoints and their weights.")],
    out: Annotated[Path, typer.Option(help="A .safetensors file.")],
) -> None:
    """Average checkpoints of one or several runs.

    Example:

      panvec soup runs/a:300 runs/a:350 runs/b:400=2 --out soup.safetensors
    """
    _needs_torch()
    from safetensors.torch import save_file

    from panvec.training.soup import average

    if out.suffix != ".safetensors":
        raise InputError(f"--out {out}: a soup is a .safetensors file")
    save_file(average([_ingredient(text) for text in checkpoints]), out)
    say(f"{len(checkpoints)} checkpoints averaged into {out}")


@with_model
def mine(
    choice: Choice,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of pairs; their negatives are replaced.")],
    count: Annotated[int, typer.Option(help="Negatives of each pair, at most.", min=1)] = 4,
    first: Annotated[int, typer.Option(help="The best rank that a negative may have, from 0.", min=0)] = 5,
    last: Annotated[int, typer.Option(help="The worst.", min=1)] = 50,
    margin: Annotated[float, typer.Option(help="How much less similar than the positive, as a share.", min=0, max=1)] = 0.05,
) -> None:
    """Mine hard negatives for a folder of pairs with a model.

    Examples:

      panvec mine data/docstrings --count 4

      panvec mine data/docstrings --model Qwen/Qwen3-VL-Embedding-2B --allow-network --device cuda
    """
    _needs_torch()
    from panvec.training.mining import mine_folder
    from panvec.training.recipe import Mining

    pairs, found = mine_folder(folder, choice.load(), Mining(ranks=(first, last), margin=margin, count=count))
    say(f"{found} hard negatives for {pairs} pairs in {folder}")


def _needs_torch() -> tuple[Any, Any]:
    try:
        from panvec.training.loop import Training
        from panvec.training.plan import plan
    except ImportError as error:
        raise InputError(f'training needs more packages ({error.name}): pip install "panvec[train]"') from error
    return plan, Training


def _release(training: "Training", out: Path, limit: int | None = None) -> None:
    from panvec.training.release import release_run

    found: Released = release_run(training, out, limit=limit)
    from rich.console import Console
    from rich.table import Table

    table = Table("data", "task", "metric", "dim", "before", "released")
    for old, new in zip(found.before, found.after, strict=True):
        table.add_row(new.data, new.task, new.metric, str(new.dim), f"{old.value:.1%}", f"{new.value:.1%}")
    Console().print(table)
    say(f"released step {', '.join(map(str, found.steps))} into {out}")


def _ingredient(text: str) -> Any:
    from panvec.training.soup import Ingredient

    place, _, weight = text.partition("=")
    run, _, step = place.rpartition(":")
    try:
        return Ingredient(Path(run), int(step), float(weight or 1))
    except ValueError as error:
        raise InputError(f"{text} names no checkpoint: write RUN:STEP or RUN:STEP=WEIGHT") from error


def _print_plan(found: "Plan") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("task", "pairs", "media", "texts", "steps", "batch", "epochs", "s a step")
    for task in found.tasks:
        epochs = task.steps * task.batch / task.pairs
        counts = (f"{task.pairs:,}", f"{task.media:,}", f"{task.texts:,}", str(task.steps), str(task.batch))
        table.add_row(task.name, *counts, f"{epochs:.1f}", f"{task.seconds:.2f}")
    console = Console()
    console.print(table)
    console.print(f"{found.weights:,} weights are trained; at most about {found.megabytes:,.0f} MB of memory")
    console.print(f"{found.training_hours:.2f} hours of training, {found.caching_hours:.2f} hours to fill an empty cache")
