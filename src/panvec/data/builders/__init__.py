"""Builders of training pairs from packages: one file a source. `panvec data list` shows them."""

from __future__ import annotations

from panvec.data.builders import emoji, translations, tuxpaint
from panvec.data.builders.base import Source
from panvec.errors import InputError

SOURCES: dict[str, Source] = {module.SOURCE.name: module.SOURCE for module in (tuxpaint, emoji, translations)}
"""The sources, by name, the most useful ones first."""


def source(name: str) -> Source:
    """The source of a name.

    Raises:
        InputError: there is none.
    """
    if name not in SOURCES:
        raise InputError(f"there is no source {name!r}: use one of {', '.join(SOURCES)}")
    return SOURCES[name]
