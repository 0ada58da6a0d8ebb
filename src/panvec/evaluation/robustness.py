"""Robustness: the same picture re-encoded, cropped, rotated or dark, the same sound noisy or faster, beside itself."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from panvec.content import Audio, Content, Image, Limits
from panvec.data.augment import Noise, Speed, drawn
from panvec.errors import InputError
from panvec.evaluation.data import Selection, read_data
from panvec.evaluation.rows import Captioned, Labelled, Spoken
from panvec.media.audio import Samples, read_audio
from panvec.media.image import RGB, read_image
from panvec.models.embedder import Embedder

HZ = 16_000
PICTURES: dict[str, Callable[[RGB], RGB]] = {
    "JPEG of quality 20": lambda photo: _reencoded(photo, 20),
    "cropped to 70 % of its sides": lambda photo: _cropped(photo, 0.7),
    "rotated by 15 degrees": lambda photo: np.asarray(PIL.Image.fromarray(photo).rotate(15, PIL.Image.Resampling.BICUBIC)),
    "dark, 30 % of its light": lambda photo: (photo * 0.3).astype(np.uint8),
}
SOUNDS: dict[str, Callable[[Samples], Samples]] = {
    "noisy, 10 dB": lambda sound: drawn(Noise((10.0, 10.0)), sound, 0),
    "faster, 1.25 times": lambda sound: drawn(Speed((1.25, 1.25)), sound, 0),
}


@dataclass(frozen=True)
class Robustness:
    """How near disturbed media stay to themselves.

    Attributes:
        cosine: the mean, of a disturbed medium and itself.
        found: the share of disturbed media to which their own original is nearer than every other.
    """

    data: str
    kind: str
    disturbance: str
    items: int
    cosine: float
    found: float


def evaluate_robustness(
    folder: Path, embedder: Embedder, selection: Selection, agree: Callable[[list[Content]], object] | None = None
) -> list[Robustness]:
    """Every disturbance of the pictures and sounds of a data folder, each medium once.

    Args:
        folder: the data.
        embedder: the model.
        selection: which rows.
        agree: is told what will be embedded before anything is (media undisturbed, as often as they are), and may raise.

    Raises:
        InputError: there are no pictures and no sounds.
        PanvecError: a medium cannot be read.
    """
    media = [(data.name, kind, paths) for data in read_data(folder, selection)[0] for kind, paths in _media(data.rows).items()]
    if not any(paths for _, _, paths in media):
        raise InputError(f"{folder} holds neither pictures nor sounds: nothing to disturb")
    if agree:
        agree([content for _, kind, paths in media for path in paths for content in _as_often(kind, path)])
    return [result for name, kind, paths in media for result in _of(name, kind, paths, embedder)]


def _as_often(kind: str, path: Path) -> list[Content]:
    """A medium as itself and in place of each disturbance of it."""
    return [Content(Image(path))] * (1 + len(PICTURES)) if kind == "image" else [Content(Audio(path))] * (1 + len(SOUNDS))


def _media(rows: list[Any]) -> dict[str, list[Path]]:
    files = [row.medium for row in rows if isinstance(row, Captioned | Labelled)]
    files += [row.audio for row in rows if isinstance(row, Spoken)]
    return {kind: list(dict.fromkeys(f.path for f in files if f.kind == kind)) for kind in ("image", "audio")}


def _of(data: str, kind: str, paths: list[Path], embedder: Embedder) -> list[Robustness]:
    if not paths:
        return []
    if kind == "image":
        photos = [read_image(Image(path), Limits()) for path in paths]
        originals = embedder.embed([Image(photo) for photo in photos])
        changed = {name: embedder.embed([Image(change(photo)) for photo in photos]) for name, change in PICTURES.items()}
    else:
        sounds = [_heard(path) for path in paths]
        originals = embedder.embed([Audio(sound, hz=HZ) for sound in sounds])
        changed = {name: embedder.embed([Audio(change(sound), hz=HZ) for sound in sounds]) for name, change in SOUNDS.items()}
    return [_beside(data, kind, name, vectors @ originals.T) for name, vectors in changed.items()]


def _beside(data: str, kind: str, disturbance: str, cosines: Any) -> Robustness:
    own = np.diag(cosines)
    others = np.where(np.eye(len(cosines), dtype=bool), -np.inf, cosines)
    return Robustness(data, kind, disturbance, len(own), float(own.mean()), float((own > others.max(1)).mean()))


def _reencoded(photo: RGB, quality: int) -> RGB:
    out = io.BytesIO()
    PIL.Image.fromarray(photo).save(out, "JPEG", quality=quality)
    return np.asarray(PIL.Image.open(out).convert("RGB"))


def _cropped(photo: RGB, share: float) -> RGB:
    height, width = photo.shape[:2]
    top, left = round(height * (1 - share) / 2), round(width * (1 - share) / 2)
    return photo[top : height - top, left : width - left]


def _heard(path: Path) -> Samples:
    return np.concatenate([stretch.samples for stretch in read_audio(Audio(path), Limits(), hz=HZ)])
