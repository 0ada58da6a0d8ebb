"""What the command line takes: a text or a file, and the mix of `--text`, `--image`, `--audio`, `--video`, `--document`."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from typer.core import TyperCommand

from panvec.content import Audio, Content, Document, Image, Part, Text, Video

Threads: TypeAlias = Annotated[int | None, typer.Option(help="The most threads to use.", min=1)]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON for machines.")]

_PARTS: dict[str, type[Part]] = {"text": Text, "image": Image, "audio": Audio, "video": Video, "document": Document}
_ORDER = "panvec.order"
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class InOrder(TyperCommand):
    """A command that remembers in which order its options were given, each as often as it was."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, and keep the names of the options in order."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta[_ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


def mixed(ctx: typer.Context, given: Mapping[str, Sequence[str] | None]) -> Content | None:
    """The parts that the options `given` hold, in the order of the command line of an `InOrder`; None without any."""
    left = {name: iter(values or ()) for name, values in given.items()}
    parts = [_PARTS[name](next(left[name])) for name in ctx.meta[_ORDER] if name in left]
    return Content(*parts) if parts else None


def text_or_file(argument: str) -> str | Path:
    """An existing file is itself; anything else is text, which is said where it has the name of a medium."""
    from panvec.media.formats import is_media_name

    if is_file(argument):
        return Path(argument)
    if is_media_name(argument) and not any(map(str.isspace, argument)):
        say(f"there is no file {argument}: taken as text")
    return argument


def is_file(argument: str) -> bool:
    """Whether `argument` is the path of an existing file, whatever else it may hold."""
    try:
        return Path(argument).is_file()
    except (OSError, ValueError):
        return False


def say(message: str) -> None:
    """A line for people, beside the results."""
    print(f"panvec: {on_one_line(message)}", file=sys.stderr)


def on_one_line(text: str) -> str:
    """`text` as a terminal can show it: line ends and control characters, which file names may hold, are escaped."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
