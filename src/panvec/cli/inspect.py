"""`panvec info` and `panvec models`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from panvec.cli.inputs import AsJson
from panvec.cli.models import Choice, with_model


@with_model
def info(
    choice: Choice,
    file: Annotated[Path, typer.Argument(help="A file.")],
    as_json: AsJson = False,
) -> None:
    """What would be embedded of a file: its parts, tokens and windows.

    Example:

      panvec info paper.pdf
    """
    found = choice.load().describe(file, task="document")
    if as_json:
        print(json.dumps(asdict(found)))
        return
    for part in found.parts:
        print(f"{part.kind:<9} {part.tokens:>7} tokens  {part.name}" + (f"  ({part.detail})" if part.detail else ""))
    print(f"{found.tokens} tokens with the prompt, in {found.windows} window{'s' if found.windows > 1 else ''} of the trunk")


def models(as_json: AsJson = False) -> None:
    """The models there are.

    Example:

      panvec models --json
    """
    from panvec.models.registry import MODELS

    if as_json:
        print(json.dumps([asdict(card) for card in MODELS.values()]))
        return
    for card in MODELS.values():
        print(f"{card.name}: {card.summary}")
        print(f"  dims {', '.join(map(str, card.dims))}; {', '.join(card.modalities)}; {card.licence}")
        if card.extra:
            print(f'  needs pip install "panvec[{card.extra}]"')
