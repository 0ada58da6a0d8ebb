"""Iconify's sets of icons: `collections.json` says what each is and its licence, `json/SET.json` holds the drawings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panvec.data.builders.licences import is_free
from panvec.data.builders.packages import Package
from panvec.errors import InputError

PACKAGE = Package("npm", "@iconify/json", "collections.json")
_MOST_BYTES = 300_000_000


@dataclass(frozen=True)
class IconSet:
    """A set of icons of one design."""

    name: str
    licence: str
    data: dict[str, Any]

    @property
    def names(self) -> list[str]:
        """The names of the icons that are shown to people."""
        return [name for name, icon in self.data["icons"].items() if not icon.get("hidden")]

    def resolve(self, name: str) -> str | None:
        """The name of the icon that a name or an alias stands for; None for what is turned or mirrored, and for no icon."""
        for _ in range(5):
            if name in self.data["icons"]:
                return name
            alias = self.data.get("aliases", {}).get(name)
            if not alias or set(alias) & {"rotate", "hFlip", "vFlip"}:
                return None
            name = alias["parent"]
        return None

    def svg(self, name: str) -> bytes:
        """The drawing of an icon, with black for its own colour where it has none."""
        icon = self.data["icons"][name]
        left, top = icon.get("left", 0), icon.get("top", 0)
        width, height = (icon.get(side, self.data.get(side, 16)) for side in ("width", "height"))
        spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        box = f'viewBox="{left} {top} {width} {height}" width="{width}" height="{height}"'
        return f'<svg {spaces} {box} color="black">{icon["body"]}</svg>'.encode()


def collections(index: Path) -> dict[str, dict[str, Any]]:
    """What `collections.json` says of each set."""
    found: dict[str, dict[str, Any]] = _json(index)
    return found


def free_set(index: Path, name: str) -> IconSet | None:
    """A set of icons; None where its licence is not free, or it is not there."""
    about = collections(index).get(name)
    file = index.parent / "json" / f"{name}.json"
    if not about or not file.is_file():
        return None
    licence = about["license"].get("spdx", "")
    return IconSet(name, licence, _json(file)) if is_free(licence) else None


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path} holds more than {_MOST_BYTES:,} bytes: it is no set of icons")
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}: fetch the package again") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is no set of icons: fetch the package again")
    return value
