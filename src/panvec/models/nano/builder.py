"""Parts to positions: decoding, towers, connectors, markers. Decoders are imported by the first of their media."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from panvec.content import Audio, Document, Image, Limits, Text, Video
from panvec.errors import LimitError
from panvec.models.embedder import WHOLE, Span
from panvec.models.nano.config import MARKERS, NanoConfig
from panvec.models.nano.features import log_mel, pixels, tiles
from panvec.models.nano.sequence import Array, Positions, Sequence, join, time_code
from panvec.models.nano.tokenizer import Tokenizer
from panvec.models.nano.weights import Tensors

if TYPE_CHECKING:
    from panvec.media.document import Page
    from panvec.media.video import Clip

_CHUNK = 400
"""Word positions of one unit of a long text: it fits a window with its prompt."""


class Towers(Protocol):
    """What soft tokens are made with: an engine."""

    def see(self, pixels: Array) -> tuple[Array, Array]:
        """Pixels `[batch, 3, side, side]` to soft tokens and skips `[batch, 13, 384]`."""
        ...

    def hear(self, mel: Array) -> tuple[Array, Array]:
        """Log-mel `[80, frames]` to soft tokens and skips `[tokens, 384]`."""
        ...


class Soft(Protocol):
    """What a builder puts where there are no words."""

    def picture(self, picture: NDArray[np.uint8]) -> Positions:
        """A tile of a picture `[height, width, 3]`: nine soft tokens."""
        ...

    def frame(self, picture: NDArray[np.uint8]) -> Positions:
        """A frame of a video `[height, width, 3]`: four soft tokens."""
        ...

    def sound(self, samples: Array) -> Positions:
        """Samples at the audio tower's rate: two soft tokens a second."""
        ...

    def marker(self, name: str, seconds: float | None = None) -> Positions:
        """One of the learned markers; a frame's carries its time."""
        ...


class SoftTokens:
    """Soft tokens of trained connectors, run by an engine."""

    def __init__(self, engine: Towers, trained: Tensors, config: NanoConfig) -> None:
        self.config = config
        self.engine = engine
        self._markers = trained["markers.tokens"]
        self._image_gate, self._audio_gate, self._marker_gate = (float(gate) for gate in trained["markers.gates"])

    def picture(self, picture: NDArray[np.uint8]) -> Positions:  # noqa: D102
        return self._see(picture)[: self.config.vision.image_grid**2]

    def frame(self, picture: NDArray[np.uint8]) -> Positions:  # noqa: D102
        return self._see(picture)[self.config.vision.image_grid**2 :]

    def sound(self, samples: Array) -> Positions:  # noqa: D102
        return Positions.soft(*self.engine.hear(log_mel(samples, self.config.audio)), self._audio_gate)

    def marker(self, name: str, seconds: float | None = None) -> Positions:  # noqa: D102
        token = self._markers[MARKERS.index(name)][None]
        token = token if seconds is None else token + time_code(seconds, self.config.dim)
        return Positions.soft(token, np.zeros_like(token), self._marker_gate)

    def _see(self, picture: NDArray[np.uint8]) -> Positions:
        tokens, skips = self.engine.see(pixels(picture, self.config.vision)[None])
        return Positions.soft(tokens[0], skips[0], self._image_gate)


class Builder:
    """Adds parts to a sequence."""

    def __init__(self, soft: Soft, folder: Path, config: NanoConfig) -> None:
        self.config = config
        self.soft = soft
        self.tokenizer = Tokenizer(folder)

    def add(self, part: Text | Image | Audio | Video | Document, sequence: Sequence, limits: Limits) -> None:
        """Append a part to `sequence`.

        Raises:
            PanvecError: the part cannot be read or is over a limit.
        """
        if isinstance(part, Text):
            self._text(part.text, part.name, sequence, limits)
        elif isinstance(part, Image):
            self._image(part, sequence, limits)
        elif isinstance(part, Video):
            self._video(part, sequence, limits)
        elif isinstance(part, Audio):
            self._audio(part, sequence, limits)
        else:
            self._document(part, sequence, limits)

    def _text(self, text: str, name: str, sequence: Sequence, limits: Limits) -> None:
        if len(text) > limits.text_bytes:
            raise LimitError(f"{name} has {len(text)} characters, over the limit of {limits.text_bytes}: split it")
        ids = self.tokenizer.encode(text)
        if len(ids) > limits.tokens:
            raise LimitError(f"{name} has {len(ids)} tokens, over the limit of {limits.tokens}: split it")
        starts = self.tokenizer.starts(text)[::_CHUNK] if len(ids) > _CHUNK else [0]
        for unit, (first, last) in enumerate(pairwise([*starts, len(text)])):
            sequence.begin(Span("text", first, last))
            sequence.add(Positions.words(ids[unit * _CHUNK : (unit + 1) * _CHUNK], self.config.dim))

    def _image(self, part: Image, sequence: Sequence, limits: Limits) -> None:
        from panvec.media.image import is_animated, read_image

        if is_animated(part, limits):
            self._video(part, sequence, limits)
        else:
            sequence.begin(WHOLE)
            self._picture(read_image(part, limits), sequence)

    def _picture(self, picture: NDArray[np.uint8], sequence: Sequence) -> None:
        """An upright RGB picture `[height, width, 3]`: 9 soft tokens a tile between markers."""
        sequence.add(self.soft.marker("image"))
        for tile in tiles(picture):
            sequence.add(self.soft.picture(tile))
        sequence.add(self.soft.marker("/image"))

    def _audio(self, part: Audio, sequence: Sequence, limits: Limits) -> None:
        from panvec.media.audio import read_audio

        for sound in read_audio(part, limits, hz=self.config.audio.hz, seconds=self.config.audio.seconds):
            sequence.begin(Span("seconds", sound.start, sound.end))
            sequence.add(self.soft.marker("audio"))
            sequence.add(self.soft.sound(sound.samples))
            sequence.add(self.soft.marker("/audio"))

    def _video(self, part: Image | Video, sequence: Sequence, limits: Limits) -> None:
        from panvec.media.video import read_video

        audio = self.config.audio
        for clip in read_video(part, limits, fps=self.config.frames_per_second, seconds=audio.seconds, hz=audio.hz):
            sequence.begin(Span("seconds", clip.start, clip.end))
            sequence.add(self.soft.marker("video"))
            self._clip(clip, sequence)
            sequence.add(self.soft.marker("/video"))

    def _clip(self, clip: Clip, sequence: Sequence) -> None:
        """Frames in order, each behind a marker with its time and before the sound until the next."""
        sound = join([], self.config.dim) if clip.sound is None or not len(clip.sound) else self.soft.sound(clip.sound)
        rate, heard = self.config.audio.tokens_per_second, 0
        for index, frame in enumerate(clip.frames):
            sequence.add(self.soft.marker("frame", frame.seconds))
            sequence.add(self.soft.frame(frame.pixels))
            last = index == len(clip.frames) - 1
            until = len(sound) if last else round((clip.frames[index + 1].seconds - clip.start) * rate)
            sequence.add(sound[heard:until])
            heard = max(heard, until)
        if not clip.frames:
            sequence.add(sound)

    def _document(self, part: Document, sequence: Sequence, limits: Limits) -> None:
        from panvec.media.document import read_document

        pages = read_document(part, limits)
        first = next(pages)
        second = next(pages, None)
        if second is None and not first.pictures:
            self._text(first.text, part.name, sequence, limits)
            return
        for page in (first, *([second] if second else []), *pages):
            self._page(page, sequence)
            if len(sequence) > limits.tokens:
                raise LimitError(f"{part.name} has over {limits.tokens} tokens at page {page.number}: split it")

    def _page(self, page: Page, sequence: Sequence) -> None:
        sequence.begin(Span("page", page.number, page.number))
        sequence.add(self.soft.marker("page"))
        sequence.add(Positions.words(self.tokenizer.encode(page.text), self.config.dim))
        for picture in page.pictures:
            self._picture(picture, sequence)
