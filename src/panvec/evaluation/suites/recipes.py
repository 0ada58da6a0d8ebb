"""Recipe1M as it is handed out: recipes, which images each has, and the images in folders of four letters."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from panvec.errors import InputError

LAYOUT = "leave its files as they are (layer1.json, layer2.json, images/test/a/b/c/d/abcd*.jpg)"
_PARTITION = "test"


def read_recipes(folder: Path, field: str) -> tuple[dict[Path, str], str]:
    """The first image of each recipe of the test partition, with its ingredients or instructions, a line each; and a SHA-256.

    A recipe without an image or without such a text is left out.

    Raises:
        InputError: a file is missing, is no such JSON, or holds no recipe that is left.
    """
    digest = hashlib.sha256()
    recipes, images = (_layer(folder / f"layer{number}.json", digest) for number in (1, 2))
    try:
        first = {entry["id"]: entry["images"][0]["id"] for entry in images if entry["images"]}
        found = {
            _path(folder, first[recipe["id"]]): text
            for recipe in recipes
            if recipe["partition"] == _PARTITION and recipe["id"] in first
            if (text := "\n".join(line["text"] for line in recipe[field]).strip())
        }
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder}: the layers are not Recipe1M's ({error!r}): {LAYOUT}") from None
    if not found:
        raise InputError(f"{folder} holds no recipe of the partition {_PARTITION} with an image: {LAYOUT}")
    return found, digest.hexdigest()


def _layer(file: Path, digest: Any) -> list[Any]:
    try:
        data = file.read_bytes()
        digest.update(data)
        return list(json.loads(data))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {file} ({error}): {LAYOUT}") from None


def _path(folder: Path, image: str) -> Path:
    return folder.joinpath("images", _PARTITION, *image[:4], image)
