"""Rows of a data folder: what their fields say, and where the files are that they name. docs/evaluation.md has the format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from panvec.errors import MediaError
from panvec.evaluation.vectors import File, Kind, Words

FOLDERS: dict[Kind, str] = {"image": "images", "audio": "audio", "video": "videos", "document": "documents"}
"""The folder in which the files of a field are."""

Record: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Captioned:
    """A medium, or a text, and texts that describe it or ask for it, at least one."""

    medium: File | Words
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Labelled:
    """A medium, or a text, and the name of its class."""

    medium: File | Words
    class_name: str


@dataclass(frozen=True)
class Spoken:
    """A recording, the words spoken in it, and a photo of what they are about."""

    audio: File
    text: str
    photo: File | None


@dataclass(frozen=True)
class Pictured:
    """Pictures in order, and a text about all of them."""

    pictures: tuple[File, ...]
    text: str


@dataclass(frozen=True)
class Pair:
    """Two texts: how alike they are, or (without a score) one the translation of the other."""

    first: str
    second: str
    score: float | None


Row: TypeAlias = Captioned | Labelled | Spoken | Pictured | Pair


class Reader:
    """Reads the rows of one folder.

    A file is looked for in the folder of its kind (`images`, `audio`, `videos`) and beside the rows; where there is no folder
    of its kind, also in that of every neighbouring data folder. One that is nowhere gets the path where it should be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.neighbours = [path for path in sorted(folder.parent.iterdir()) if path.is_dir() and path != folder]

    def read(self, record: Record, place: str) -> list[Row]:
        """What a row says: nothing, where its words are blank.

        Raises:
            MediaError: its fields make no task, or neighbours have different files of a name.
        """
        record = {name: value for name, value in record.items() if value is not None}
        if isinstance(record.get("images"), list) and record["images"] and "instructions" in record:
            return self._pictured(record, place)
        if "sentence1" in record and "sentence2" in record:
            return _pairs(record, place)
        media = {kind: File(kind, self._find(kind, str(record[kind]), place)) for kind in FOLDERS if kind in record}
        if "audio" in media and "text" in record:
            return [Spoken(media["audio"], text, media.get("image")) for text in _texts(record["text"])]
        if len(media) == 1 and ("captions" in record or "label" in record):
            return _described(record, next(iter(media.values())), place)
        if not media and "text" in record and ("captions" in record or "label" in record):
            return [row for text in _texts(record["text"]) for row in _described(record, Words(text), place)]
        raise MediaError(
            f"{place}: the fields {', '.join(record)} make no task: a row has one of {', '.join(FOLDERS)}, text with captions "
            "or label, or audio with text (and image), or images with instructions, or two sentences; see docs/evaluation.md"
        )

    def _pictured(self, record: Record, place: str) -> list[Row]:
        text = " ".join(_texts(record["instructions"]))
        pictures = tuple(File("image", self._find("image", str(name), place)) for name in record["images"])
        return [Pictured(pictures, text)] if text else []

    def _find(self, kind: Kind, name: str, place: str) -> Path:
        usual = self.folder / FOLDERS[kind] / name
        for path in (usual, self.folder / name):
            if path.is_file():
                return path
        found = [] if (self.folder / FOLDERS[kind]).is_dir() else self._in_neighbours(kind, name)
        if len(found) > 1:
            raise MediaError(f"{place}: {name} is both {found[0]} and {found[1]}: put the right one at {usual}")
        return found[0] if found else usual

    def _in_neighbours(self, kind: Kind, name: str) -> list[Path]:
        paths = [other / FOLDERS[kind] / name for other in self.neighbours]
        return list({path.resolve(): path for path in paths if path.is_file()}.values())


def class_name(record: Record, place: str) -> str | None:
    """The name of the class of a row with a label.

    Raises:
        MediaError: it is no text and no number, or blank.
    """
    label = record.get("label")
    if label is None:
        return None
    name = record.get("class_name") or label
    if not isinstance(name, str | int | float) or not str(name).strip():
        raise MediaError(f"{place}: {name!r} is no class: give a text or a number, or leave label out")
    return str(name)


def _pairs(record: Record, place: str) -> list[Row]:
    firsts, seconds = _listed(record["sentence1"]), _listed(record["sentence2"])
    if len(firsts) != len(seconds):
        raise MediaError(f"{place}: has {len(firsts)} first sentences and {len(seconds)} second ones: they are pairs")
    score = _score(record.get("score"), place)
    return [Pair(str(a), str(b), score) for a, b in zip(firsts, seconds, strict=True) if _texts(a) and _texts(b)]


def _score(value: object, place: str) -> float | None:
    if value is None or (isinstance(value, int | float) and math.isfinite(value)):
        return value
    raise MediaError(f"{place}: {value!r} is no score of two sentences: give a number, or none of translations")


def _described(record: Record, medium: File | Words, place: str) -> list[Row]:
    captions = tuple(_texts(record.get("captions")))
    name = class_name(record, place)
    rows: list[Row] = [Captioned(medium, captions)] if captions else []
    return rows + ([] if name is None else [Labelled(medium, name)])


def _texts(value: object) -> list[str]:
    """A text, or a list of texts, as those that are not blank."""
    return [str(text) for text in _listed(value) if text is not None and str(text).strip()]


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
