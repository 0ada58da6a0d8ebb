"""Robustness: the same picture re-encoded, cropped, rotated or dark, the same sound noisy or faster, beside itself."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from panvec.content import Audio, Content, Image, Limits, Medium
from panvec.data.augment import Noise, Speed, drawn
from panvec.errors import InputError, ModelError, PanvecError
from panvec.evaluation.data import Selection, read_data
from panvec.evaluation.rows import Captioned, Labelled, Spoken
from panvec.evaluation.settings import surroundings
from panvec.evaluation.vectors import File
from panvec.media.audio import Samples, read_audio
from panvec.media.image import RGB, read_image
from panvec.models.embedder import Embedder
from panvec.models.remote.service import of_service

HZ = 16_000
_TOGETHER = 16
"""Media that are decoded at once: a photo of 12 megapixels takes 36 MB."""
_ITSELF = ""
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


@dataclass(frozen=True)
class RobustnessReport:
    """How near disturbed media stay to themselves, and what is needed to get that again.

    Attributes:
        failures: the name and the error of each medium that is left out, since it or a disturbance of it has no vector.
    """

    scores: list[Robustness]
    failures: dict[str, str]
    settings: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"kind": "robustness", **self.settings, "failures": self.failures, "scores": list(map(asdict, self.scores))}


def evaluate_robustness(
    folder: Path, embedder: Embedder, selection: Selection, agree: Callable[[list[Content]], object] | None = None
) -> RobustnessReport:
    """Every disturbance of the pictures and sounds of a data folder, each medium once.

    Args:
        folder: the data.
        embedder: the model.
        selection: which rows.
        agree: is told what will be embedded before anything is (media undisturbed, as often as they are), and may raise.

    Raises:
        InputError: there are no pictures and no sounds.
        ModelError: none of them can be embedded, or the service of a hosted model failed.
        LimitError: the budget of a hosted model is spent.
    """
    data = read_data(folder, selection)[0]
    media = [(each.name, kind, paths) for each in data for kind, paths in _media(each.rows).items() if paths]
    if not media:
        raise InputError(f"{folder} holds neither pictures nor sounds: nothing to disturb")
    if agree:
        agree([content for _, kind, paths in media for path in paths for content in _as_often(kind, path)])
    failures: dict[str, str] = {}
    scores = [score for name, kind, paths in media for score in _of(name, kind, paths, embedder, failures)]
    if not scores:
        raise ModelError(f"no medium of {folder} can be embedded; the first: {next(iter(failures.values()))}")
    settings = {
        **embedder.settings,
        "dim": embedder.dims[0],
        "precision": "float32",
        "data": [{"name": each.name, "sha256": each.sha256, "split": each.split, "rows": each.chosen} for each in data],
        **asdict(selection),
        **surroundings(),
    }
    return RobustnessReport(scores, failures, settings)


def _as_often(kind: str, path: Path) -> list[Content]:
    """A medium as itself and in place of each disturbance of it."""
    return [Content(Image(path))] * (1 + len(PICTURES)) if kind == "image" else [Content(Audio(path))] * (1 + len(SOUNDS))


def _media(rows: list[Any]) -> dict[str, list[Path]]:
    files = [row.medium for row in rows if isinstance(row, Captioned | Labelled) and isinstance(row.medium, File)]
    files += [row.audio for row in rows if isinstance(row, Spoken)]
    return {kind: list(dict.fromkeys(f.path for f in files if f.kind == kind)) for kind in ("image", "audio")}


def _of(data: str, kind: str, paths: list[Path], embedder: Embedder, failures: dict[str, str]) -> list[Robustness]:
    """The scores of the media that have all of their vectors; the others go to `failures`."""
    changes: dict[str, Callable[[Any], Any]] = {_ITSELF: lambda medium: medium, **(PICTURES if kind == "image" else SOUNDS)}
    made: dict[str, list[Any]] = {name: [] for name in changes}
    for start in range(0, len(paths), _TOGETHER):
        media = _readable(kind, paths[start : start + _TOGETHER], embedder.limits, failures)
        rows = _embedded(kind, list(media.values()), changes, embedder)
        for i, path in enumerate(media):
            own = {name: row[i] for name, row in rows.items()}
            if (why := _error(list(own.values()))) is not None:
                failures[str(path)] = str(why)
                continue
            for name, vector in own.items():
                made[name].append(vector)
    if not made[_ITSELF]:
        return []
    vectors = {name: np.stack(rows) for name, rows in made.items()}
    originals = vectors.pop(_ITSELF)
    return [_beside(data, kind, name, changed @ originals.T) for name, changed in vectors.items()]


def _readable(kind: str, paths: list[Path], limits: Limits, failures: dict[str, str]) -> dict[Path, Any]:
    media: dict[Path, Any] = {}
    for path in paths:
        try:
            media[path] = _read(kind, path, limits)
        except PanvecError as error:
            failures[str(path)] = str(error)
    return media


def _embedded(kind: str, media: list[Any], changes: dict[str, Callable[[Any], Any]], embedder: Embedder) -> dict[str, Any]:
    """By the name of each change a row for each medium."""
    as_part: Callable[[Any], Medium] = Image if kind == "image" else partial(Audio, hz=HZ)
    return {
        name: embedder.embed([as_part(change(medium)) for medium in media], on_error="return")
        for name, change in changes.items()
    }


def _error(rows: list[Any]) -> PanvecError | None:
    """The first error among the vectors of a medium; one of a service or a budget is raised."""
    error = next((row for row in rows if isinstance(row, PanvecError)), None)
    if error is not None and of_service(error):
        raise error
    return error


def _read(kind: str, path: Path, limits: Limits) -> Any:
    """A picture's pixels, or a sound's samples."""
    if kind == "image":
        return read_image(Image(path), limits)
    return np.concatenate([stretch.samples for stretch in read_audio(Audio(path), limits, hz=HZ)])


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
