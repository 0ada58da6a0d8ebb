"""Augmentation: pictures, sounds, and films made from photos, all decided by the generator that is given.

Every transform has a `key` that says all of what it does but its draws: a cache of features goes by the file's hash, the
tower, and `drawn_key(transform, seed)`.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar

import av
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from panvec.content import Audio, Limits
from panvec.errors import InputError
from panvec.media.audio import Samples, read_audio
from panvec.media.image import RGB

Array = TypeVar("Array", bound=NDArray[Any])
Range: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels."""
Motion: TypeAlias = Literal["pan", "zoom", "still"]

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_CLOSE = 0.75
"""The share of a photo's sides that a film shows where it is closest."""


class Transform(Protocol[Array]):
    """Something that changes an array of pixels or samples."""

    @property
    def key(self) -> str:
        """A short name that two transforms share only if they are the same."""
        ...

    def __call__(self, array: Array, generator: np.random.Generator, /) -> Array:
        """A new array; the same for a generator in the same state."""
        ...


@dataclass(frozen=True)
class Chain(Generic[Array]):
    """Transforms, one after the other."""

    transforms: tuple[Transform[Array], ...]

    @property
    def key(self) -> str:  # noqa: D102
        return "+".join(transform.key for transform in self.transforms) or "none"

    def __call__(self, array: Array, generator: np.random.Generator) -> Array:  # noqa: D102
        for transform in self.transforms:
            array = transform(array, generator)
        return array


def drawn(transform: Transform[Array], array: Array, seed: int) -> Array:
    """One draw of a transform."""
    return transform(array, np.random.default_rng(seed))


def drawn_key(transform: Transform[Any], seed: int) -> str:
    """The name of that draw."""
    return f"{transform.key}@{seed}"


def picture_augmentation(*, scale: Range = (0.6, 1.0), jitter: float = 0.2, letters: bool = False) -> Chain[RGB]:
    """Crop, flip and colour. Pictures with text or letters in them (`letters`) are not flipped."""
    flip = () if letters else (Flip(),)
    return Chain((Crop(scale), *flip, Jitter(jitter, jitter, jitter)))


def thumbnail(*, scale: Range = (0.4, 1.0), side: tuple[int, int] = (24, 128), letters: bool = False) -> Chain[RGB]:
    """A picture as small as those of icons and lists. Pictures with text or letters in them (`letters`) are not flipped."""
    flip = () if letters else (Flip(),)
    return Chain((Crop(scale), *flip, Shrink(side)))


def sound_augmentation(*, snr_db: Range = (10.0, 30.0), seconds: float = 0.3, hz: int = 16_000) -> Chain[Samples]:
    """Speed, shift, gain and noise."""
    return Chain((Speed(hz=hz), Shift(seconds, hz), Gain(), Noise(snr_db)))


@dataclass(frozen=True)
class Crop:
    """A rectangle at random that has a share in `scale` of the area, and the picture's shape but for up to 3:4."""

    scale: Range = (0.6, 1.0)

    def __post_init__(self) -> None:
        _check("scale", self.scale, above=0, most=1)

    @property
    def key(self) -> str:  # noqa: D102
        return f"crop{_span(self.scale)}"

    def __call__(self, pixels: RGB, generator: np.random.Generator) -> RGB:
        """`[height, width, 3]` to a smaller or equal one."""
        height, width = pixels.shape[:2]
        area, shape = generator.uniform(*self.scale), np.exp(generator.uniform(np.log(3 / 4), np.log(4 / 3)) / 2)
        tall = min(height, max(1, round(height * np.sqrt(area) * shape)))
        wide = min(width, max(1, round(width * np.sqrt(area) / shape)))
        top, left = int(generator.integers(height - tall + 1)), int(generator.integers(width - wide + 1))
        return np.ascontiguousarray(pixels[top : top + tall, left : left + wide])


@dataclass(frozen=True)
class Flip:
    """Left and right change places, every other time. Not for pictures with letters in them."""

    key: str = field(default="flip", init=False)

    def __call__(self, pixels: RGB, generator: np.random.Generator) -> RGB:
        """`[height, width, 3]` to the same shape."""
        return np.ascontiguousarray(pixels[:, ::-1] if generator.random() < 0.5 else pixels)


@dataclass(frozen=True)
class Shrink:
    """Smaller: the shorter side has so many pixels, drawn evenly among their logarithms. Smaller pictures stay as they are."""

    side: tuple[int, int] = (24, 128)

    def __post_init__(self) -> None:
        _check("side", self.side, above=0)

    @property
    def key(self) -> str:  # noqa: D102
        return f"shrink{_span(self.side)}"

    def __call__(self, pixels: RGB, generator: np.random.Generator) -> RGB:
        """`[height, width, 3]` to a smaller or equal one."""
        share = np.exp(generator.uniform(*np.log(self.side))) / min(pixels.shape[:2])
        if share >= 1:
            return pixels.copy()
        height, width = (max(1, round(length * share)) for length in pixels.shape[:2])
        small = PIL.Image.fromarray(pixels).resize((width, height), PIL.Image.Resampling.BOX)
        return np.asarray(small, np.uint8)


@dataclass(frozen=True)
class Jitter:
    """Brightness, contrast and saturation, each times 1 plus or minus up to its share."""

    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            _check(name, (0.0, getattr(self, name)), most=1)

    @property
    def key(self) -> str:  # noqa: D102
        return f"jitter{self.brightness:g}-{self.contrast:g}-{self.saturation:g}"

    def __call__(self, pixels: RGB, generator: np.random.Generator) -> RGB:
        """`[height, width, 3]` to the same shape."""
        brightness, contrast, saturation = (
            np.float32(generator.uniform(1 - share, 1 + share)) for share in (self.brightness, self.contrast, self.saturation)
        )
        values = pixels.astype(np.float32) * brightness
        mean = (values @ _GREY).mean()
        values = mean + (values - mean) * contrast
        grey = (values @ _GREY)[..., None]
        values = grey + (values - grey) * saturation
        changed: RGB = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        return changed


@dataclass(frozen=True)
class Noise:
    """White noise, so many decibels below the sound. Silence stays silence."""

    snr_db: Range = (10.0, 30.0)

    def __post_init__(self) -> None:
        _check("snr_db", self.snr_db)

    @property
    def key(self) -> str:  # noqa: D102
        return f"noise{_span(self.snr_db)}db"

    def __call__(self, samples: Samples, generator: np.random.Generator) -> Samples:
        """`[samples]` to the same length."""
        power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
        level = np.sqrt(power / 10 ** (generator.uniform(*self.snr_db) / 10))
        noisy: Samples = (samples + level * generator.standard_normal(len(samples))).astype(np.float32)
        return noisy


@dataclass(frozen=True)
class Shift:
    """Earlier or later by up to so many seconds; silence comes in at the other end."""

    seconds: float = 0.3
    hz: int = 16_000

    def __post_init__(self) -> None:
        _check("seconds", (0.0, self.seconds))
        _check("hz", (self.hz, self.hz), above=0)

    @property
    def key(self) -> str:  # noqa: D102
        return f"shift{self.seconds:g}s{self.hz}"

    def __call__(self, samples: Samples, generator: np.random.Generator) -> Samples:
        """`[samples]` to the same length."""
        most = min(round(self.seconds * self.hz), len(samples))
        by = int(generator.integers(-most, most + 1))
        silence = np.zeros(abs(by), np.float32)
        moved = np.concatenate([silence, samples[: len(samples) - by]]) if by >= 0 else np.concatenate([samples[-by:], silence])
        return moved.astype(np.float32)


@dataclass(frozen=True)
class Speed:
    """Faster and higher, or slower and lower."""

    factor: Range = (0.85, 1.2)
    hz: int = 16_000

    def __post_init__(self) -> None:
        _check("factor", self.factor, above=0)
        _check("hz", (self.hz, self.hz), above=0)

    @property
    def key(self) -> str:  # noqa: D102
        return f"speed{_span(self.factor)}hz{self.hz}"

    def __call__(self, samples: Samples, generator: np.random.Generator) -> Samples:
        """`[samples]` to about `[samples / factor]`."""
        rate = round(self.hz * generator.uniform(*self.factor))
        if not len(samples) or rate == self.hz:
            return samples.copy()
        read = read_audio(Audio(samples, hz=rate), Limits(), hz=self.hz)
        return np.concatenate([sound.samples for sound in read])


@dataclass(frozen=True)
class Gain:
    """Louder or softer by so many decibels; what would go beyond 1 is cut off there."""

    db: Range = (-6.0, 6.0)

    def __post_init__(self) -> None:
        _check("db", self.db)

    @property
    def key(self) -> str:  # noqa: D102
        return f"gain{_span(self.db)}db"

    def __call__(self, samples: Samples, generator: np.random.Generator) -> Samples:
        """`[samples]` to the same length."""
        changed: Samples = np.clip(samples * 10 ** (generator.uniform(*self.db) / 20), -1, 1).astype(np.float32)
        return changed


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film made of photos: each for so many seconds, in motion, with hard cuts between them."""

    fps: float = 4.0
    width: int = 224
    height: int = 224
    seconds: float = 2.0
    """Of each photo."""
    motions: tuple[Motion, ...] = ("pan", "zoom")
    """One of these is drawn for each photo."""

    def __post_init__(self) -> None:
        for name in ("fps", "width", "height", "seconds"):
            _check(name, (getattr(self, name), getattr(self, name)), above=0)
        if self.width % 2 or self.height % 2:
            raise InputError(f"a film of {self.width} x {self.height}: both must be even")
        if not self.motions or set(self.motions) - {"pan", "zoom", "still"}:
            raise InputError(f"motions are {self.motions}: give some of pan, zoom, still")

    @property
    def key(self) -> str:  # noqa: D102
        return f"film{self.width}x{self.height}@{self.fps:g}x{self.seconds:g}s-{'-'.join(self.motions)}"

    def frames(self, photos: Sequence[RGB], generator: np.random.Generator) -> NDArray[np.uint8]:
        """Photos `[height, width, 3]` to frames `[photos * seconds * fps, height, width, 3]`, at least one a photo.

        Raises:
            InputError: no photo.
        """
        if not photos:
            raise InputError("a film needs at least one photo")
        return np.concatenate([self._shown(photo, generator) for photo in photos])

    def _shown(self, photo: RGB, generator: np.random.Generator) -> NDArray[np.uint8]:
        first, last = self._boxes(photo, generator)
        picture, count = PIL.Image.fromarray(photo), max(1, round(self.seconds * self.fps))
        size, boxes = (self.width, self.height), np.linspace(first, last, count)
        shown = [picture.resize(size, PIL.Image.Resampling.BILINEAR, _clipped(box, photo)) for box in boxes]
        return np.stack([np.asarray(frame, np.uint8) for frame in shown])

    def _boxes(self, photo: RGB, generator: np.random.Generator) -> tuple[Box, Box]:
        """What is seen first and last."""
        motion = self.motions[int(generator.integers(len(self.motions)))]
        whole = self._box(photo, 1.0, 0.5, 0.5)
        across, backwards = generator.random(), generator.random() < 0.5
        if motion == "still":
            return whole, whole
        if motion == "zoom":
            ends = whole, self._box(photo, _CLOSE, across, generator.random())
        elif generator.random() < 0.5:
            ends = self._box(photo, _CLOSE, 0.0, across), self._box(photo, _CLOSE, 1.0, across)
        else:
            ends = self._box(photo, _CLOSE, across, 0.0), self._box(photo, _CLOSE, across, 1.0)
        return ends[::-1] if backwards else ends

    def _box(self, photo: RGB, share: float, across: float, down: float) -> Box:
        """A box of the film's shape, `share` of the largest that the photo holds; at 0 left or top, at 1 right or bottom."""
        height, width = photo.shape[:2]
        unit = share * min(width / self.width, height / self.height)
        wide, tall = unit * self.width, unit * self.height
        left, top = across * (width - wide), down * (height - tall)
        return left, top, left + wide, top + tall


def write_film(path: Path, frames: NDArray[np.uint8], fps: float, sound: Samples | None = None, *, hz: int = 16_000) -> None:
    """Write frames `[frames, height, width, 3]` as an mp4, whole or not at all; `sound` `[samples]` is laid under it.

    Sound that is longer than the film is cut, shorter sound is followed by silence.

    Raises:
        InputError: no frames, frames of odd sides or of another type, or no frame rate.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise InputError(f"a film is uint8 [frames, height, width, 3], not {frames.dtype} {frames.shape}")
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        raise InputError(f"a film of {frames.shape[2]} x {frames.shape[1]}: both must be even")
    _check("fps", (fps, fps), above=0)
    new = path.with_name(f"new-{os.getpid()}-{uuid.uuid4().hex}.mp4")
    try:
        with av.open(str(new), "w", format="mp4") as output:
            _encode(output, frames, Fraction(fps).limit_denominator(1000), sound, hz)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _encode(output: Any, frames: NDArray[np.uint8], rate: Fraction, sound: Samples | None, hz: int) -> None:
    pictures = output.add_stream("libx264", rate=rate, options={"crf": "18", "threads": "1"})
    pictures.height, pictures.width = frames.shape[1:3]
    pictures.pix_fmt = "yuv420p"
    track = None if sound is None else output.add_stream("aac", rate=hz, layout="mono")
    for pixels in frames:
        output.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
    output.mux(pictures.encode())
    if sound is not None and track is not None:
        length = round(len(frames) / rate * hz)
        fitted = np.pad(sound[:length], (0, max(0, length - len(sound)))).astype(np.float32)
        block = av.AudioFrame.from_ndarray(fitted[None], format="fltp", layout="mono")
        block.sample_rate = hz
        output.mux(track.encode(block))
        output.mux(track.encode())


def _clipped(box: NDArray[np.float64], photo: RGB) -> Box:
    height, width = photo.shape[:2]
    left, top, right, bottom = (float(side) for side in box)
    return max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))


def _span(ends: Range) -> str:
    return f"{ends[0]:g}to{ends[1]:g}"


def _check(name: str, ends: Range, *, above: float | None = None, most: float = np.inf) -> None:
    low, high = ends
    if not np.isfinite([low, high]).all() or low > high or high > most or (above is not None and low <= above):
        lowest, highest = "" if above is None else f" above {above:g}", "" if most == np.inf else f" up to {most:g}"
        raise InputError(f"{name} is {ends}: give numbers{lowest}{highest}, the lower first")
