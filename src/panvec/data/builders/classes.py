"""The names of the thousand classes that the vision tower was trained on, in the words that people caption photos with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from panvec.data.builders.base import Draft, Source
from panvec.data.builders.packages import Package
from panvec.data.pairs import Pair, text
from panvec.errors import InputError

PACKAGE = Package("own", "vision_classes", "models/nano/weights/vision_classes.json")
_TEMPLATES = (
    "a photo of {}",
    "a close-up photo of {}",
    "a picture of {} outdoors",
    "there is {} in this picture",
    "a black and white photo of {}",
    "a blurry photo of {}",
    "a drawing of {}",
)
_MOST_BYTES = 1_000_000


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """The first name of a class to sentences with each of its names. `item` has the number of the class."""
    classes = read_classes(packages[PACKAGE.name])
    for number in draft.each(range(len(classes)), str):
        names = classes[number]
        sides = [text(template.format(_with_article(name))) for name in names for template in _TEMPLATES]
        sides += [text(name) for name in names[1:]]
        yield Pair(f"class-{number:04d}", text(names[0]), tuple(sides), split=draft.split(names[0]), language="en")


def _with_article(name: str) -> str:
    """A name as a sentence has it; one with the look of a plural has no article."""
    if re.search(r"[^aious]s$", name):
        return name
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def read_classes(path: Path) -> list[list[str]]:
    """The names of each class.

    Raises:
        InputError: the file is no list of lists of names.
    """
    try:
        classes = json.loads(path.read_bytes()[:_MOST_BYTES])
    except ValueError as error:
        raise InputError(f"{path} is no list of lists of names: {error}") from error
    if not isinstance(classes, list) or not all(isinstance(names, list) and names for names in classes):
        raise InputError(f"{path} is no list of lists of names: name one with --from")
    return classes


SOURCE = Source(
    "classes",
    "names of the vision tower's 1,000 classes in sentences",
    (PACKAGE,),
    "Apache-2.0 (names of WordNet)",
    "1,000 pairs, 1 MB",
    pairs,
)
