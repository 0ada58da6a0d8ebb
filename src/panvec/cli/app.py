"""`panvec`: the commands together, and errors as one line."""

import io
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from panvec.cli import data, evaluate, inspect, train, vectors
from panvec.cli.inputs import InOrder, say
from panvec.cli.report import report
from panvec.cli.search import search
from panvec.cli.serve import serve
from panvec.errors import InputError, PanvecError

_INTERRUPTED = 130

app = typer.Typer(
    help="One vector for any mix of text, images, audio, video and documents, offline.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=InOrder)(search)
app.command()(vectors.embed)
app.command()(vectors.similarity)
app.command()(inspect.info)
app.command()(inspect.models)
app.add_typer(evaluate.app, name="eval")
app.command()(report)
for command in (train.train, train.release, train.soup, train.mine):
    app.command()(command)
app.add_typer(data.app, name="data")
app.command()(serve)


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
    """Run the command line: exit 1 and one line for what went wrong, 2 for a wrong call, 130 for an interrupt."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            say("interrupted")
        raise
    except PanvecError as error:
        say(str(error))
        sys.exit(2 if isinstance(error, InputError) else 1)
    except OSError as error:
        say(f"{error.filename or 'the system'}: {error.strerror or error}")
        sys.exit(1)
