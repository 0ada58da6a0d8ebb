"""What the command line takes as inputs, and the mix of `--text`, `--image`, `--audio`, `--video`, `--document`."""

import sys
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from panvec.content import Audio, Content, Document, Image, Part, Text, Video

Threads: TypeAlias = Annotated[int | None, typer.Option(help="The most threads to use.", min=1)]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON for machines.")]

_PARTS: dict[str, type[Part]] = {"--text": Text, "--image": Image, "--audio": Audio, "--video": Video, "--document": Document}


def text_or_file(argument: str) -> str | Path:
    """An existing file is itself; anything else is text."""
    try:
        path = Path(argument)
        return path if path.is_file() else argument
    except (OSError, ValueError):
        return argument


def mixed(arguments: list[str] | None = None) -> Content | None:
    """The parts that options name, in the order of the command line; None without any."""
    words = sys.argv[1:] if arguments is None else arguments
    parts: list[Part] = []
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in _PARTS and (equals or index + 1 < len(words)):
            parts.append(_PARTS[name](value if equals else words[index + 1]))
    return Content(*parts) if parts else None
