"""Icons in colour with their names, without the logos of anybody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from panvec.data.builders.base import Draft, Source, concept_of, medium
from panvec.data.builders.iconify import PACKAGE, IconSet, collections, free_set
from panvec.data.builders.media import need_renderer, picture
from panvec.data.pairs import Pair, text

_SETS = (
    "flat-color-icons",
    "streamline-ultimate-color",
    "streamline-freehand-color",
    "streamline-kameleon-color",
    "streamline-color",
    "streamline-plump-color",
    "streamline-flex-color",
    "streamline-cyber-color",
    "streamline-emojis",
    "icon-park",
    "meteocons",
)
_STYLE = re.compile(r"-(?:\d+|flat|duo|fill|bold|one|two|three|four|five|alternate|line|remix)(?=-|$)")
_BRANDED = re.compile(r"logo|brand|facebook|google|apple-|android|twitter|youtube|instagram|microsoft|amazon|paypal")


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """The name to the pictures of that name in all the sets."""
    need_renderer("an icon")
    index = packages[PACKAGE.name]
    brands = _brands(index)
    named: dict[str, list[tuple[IconSet, str]]] = {}
    for icons in _sets(draft, index):
        for name in icons.names:
            caption = _STYLE.sub("", name).replace("-", " ").strip()
            if _BRANDED.search(name) or caption in brands or not re.search("[a-z]{3}", caption):
                draft.leave_out("icon: a logo, or no name in words")
            else:
                named.setdefault(caption, []).append((icons, name))
    for caption in draft.each(named, str):
        drawn = (picture(draft, f"{icons.name} {name}", icons.svg(name)) for icons, name in named[caption])
        sides = tuple(medium("image", path) for path in drawn if path)
        if sides:
            yield Pair(f"icon-{concept_of(caption)}", text(caption), sides, split=draft.split(caption), language="en")


def _sets(draft: Draft, index: Path) -> Iterator[IconSet]:
    for name in _SETS:
        found = free_set(index, name)
        if found:
            draft.licences[f"{name}: {found.licence}"] = len(found.names)
            yield found
        else:
            draft.leave_out("set: not in the package, or not free")


def _brands(index: Path) -> set[str]:
    """The names of everything in the sets of logos."""
    known = [name for name, about in collections(index).items() if about.get("category") == "Logos"]
    return {icon.replace("-", " ") for name in known if (found := free_set(index, name)) for icon in found.data["icons"]}


SOURCE = Source(
    "icons",
    "icons in colour, and their names",
    (PACKAGE,),
    "MIT, Apache-2.0, CC-BY-4.0, of each set",
    "5,800 pairs, 78 MB",
    pairs,
)
