"""Folders that need more than columns: exercises (several photos of one thing), groceries (photos joined with classes)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from panvec.content import Image, Limits
from panvec.data.augment import Film, write_film
from panvec.data.formats.files import inside
from panvec.data.formats.lines import places
from panvec.data.formats.rows import Bad, Deferred, Place, Row, Rows, Table, json_rows
from panvec.data.formats.spec import SourceSpec
from panvec.data.formats.store import MediaStore
from panvec.data.pairs import PartKey
from panvec.errors import InputError
from panvec.media.image import read_image

_EXERCISES = ("images", "name", "instructions", "id")
_GROCERIES = ("image", "label", "coarse", "description", "iconic")


def exercises(spec: SourceSpec, folder: Path) -> Table:
    """`meta.jsonl`: photos of one thing, its name, and instructions, which become one text."""
    known = places(folder)
    films = _Films(known["images"].folder, MediaStore(spec.cache_folder(), spec.medium_bytes))
    return Table(
        name=str(folder),
        folder=folder,
        columns=_EXERCISES,
        whole=False,
        rows=lambda _: _exercise_rows(folder, films if spec.photos == "video" else None),
        places=known,
        positives=("name", "instructions"),
        item="id",
    )


def grocery(spec: SourceSpec, folder: Path) -> Table:  # noqa: ARG001
    """`labels.jsonl` joined with `classes.jsonl` by label: a photo, its label, what the class looks like, its picture."""
    return Table(
        name=str(folder),
        folder=folder,
        columns=_GROCERIES,
        whole=False,
        rows=lambda _: _grocery_rows(folder),
        places=places(folder) | {"iconic": Place((folder / "iconic").resolve(), "image")},
        positives=("label", "description", "iconic"),
    )


class _Films:
    """Photos as the frames of a video, a second each, made when they are used."""

    def __init__(self, folder: Path, store: MediaStore) -> None:
        self.folder, self.store = folder, store

    def film(self, names: list[str]) -> PartKey:
        paths = [inside(self.folder, name) for name in names]
        if not paths:
            raise InputError("it has no photos")
        photos = [read_image(Image(path), Limits()) for path in paths]
        height, width = (side // 2 * 2 for side in photos[0].shape[:2])
        film = Film(fps=1, seconds=1, width=width, height=height, motions=("still",))
        digest = hashlib.sha256(film.key.encode())
        for path in paths:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        frames = film.frames(photos, np.random.default_rng(0))
        return "video", str(self.store.made(f"{digest.hexdigest()}.mp4", lambda new: write_film(new, frames, film.fps)))


def _exercise_rows(folder: Path, films: _Films | None) -> Rows:
    for row in json_rows(folder / "meta.jsonl"):
        yield _exercise(row, films) if isinstance(row, Row) else row


def _exercise(row: Row, films: _Films | None) -> Row | Bad:
    photos, sentences = row.values.get("images"), row.values.get("instructions", [])
    if not _are_strings(photos) or not _are_strings(sentences):
        return Bad(row.where, "images and instructions are lists of strings")
    values: dict[str, Any] = row.values | {"instructions": " ".join(sentences)}
    if films:
        values["images"] = Deferred(lambda: films.film(list(photos or ())))
    return Row(row.where, values)


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _grocery_rows(folder: Path) -> Rows:
    classes: dict[Any, dict[str, Any]] = {}
    for row in json_rows(folder / "classes.jsonl"):
        if isinstance(row, Bad) or not isinstance(row.values.get("label"), str):
            yield row if isinstance(row, Bad) else Bad(row.where, "a class without a label")
        else:
            classes[row.values["label"]] = row.values
    for row in json_rows(folder / "labels.jsonl"):
        yield _joined(row, classes) if isinstance(row, Row) else row


def _joined(row: Row, classes: dict[Any, dict[str, Any]]) -> Row | Bad:
    label = row.values.get("label")
    if not isinstance(label, str) or label not in classes:
        return Bad(row.where, f"its label {label!r} is not in classes.jsonl")
    return Row(row.where, classes[label] | row.values, row.split)
