"""`panvec`: the commands together, and errors as one line."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from panvec.cli import inspect, vectors
from panvec.cli.search import search
from panvec.errors import PanvecError

app = typer.Typer(
    help="One vector for any mix of text, images, audio, video and documents, offline.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(context_settings={"allow_extra_args": False})(search)
app.command()(vectors.embed)
app.command()(vectors.similarity)
app.command()(inspect.info)
app.command()(inspect.models)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"panvec {version('panvec')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="The version.")] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line: exit 1 and one line for an error of panvec's, 130 for an interrupt."""
    try:
        app()
    except PanvecError as error:
        print(f"panvec: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
