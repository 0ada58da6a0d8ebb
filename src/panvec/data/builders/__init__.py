"""Builders of training pairs from packages: one file a source. `panvec data list` shows them."""

from __future__ import annotations

from panvec.data.builders import (
    catalogues,
    classes,
    docstrings,
    emoji,
    glosses,
    icons,
    openclipart,
    relatives,
    sounds,
    speech,
    spoken,
    titles,
    translations,
    tuxpaint,
    wordwise,
)
from panvec.data.builders.base import Source
from panvec.errors import InputError

_MODULES = (
    tuxpaint,
    emoji,
    translations,
    wordwise,
    catalogues,
    docstrings,
    titles,
    glosses,
    relatives,
    openclipart,
    icons,
    classes,
    speech,
    spoken,
    sounds,
)
SOURCES: dict[str, Source] = {module.SOURCE.name: module.SOURCE for module in _MODULES}
"""The sources, by name."""


def source(name: str) -> Source:
    """The source of a name.

    Raises:
        InputError: there is none.
    """
    if name not in SOURCES:
        raise InputError(f"there is no source {name!r}: use one of {', '.join(SOURCES)}")
    return SOURCES[name]
