"""Parts of a content, decoded by `panvec.media`, as blocks: the pieces of a message to a multimodal model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from panvec.content import Audio, Content, Document, Image, Limits, Text, Video
from panvec.errors import InputError, LimitError
from panvec.media.audio import Samples, Sound, read_audio
from panvec.media.document import Page, read_document
from panvec.media.image import RGB, is_animated, read_image
from panvec.media.video import Clip, Frame, read_video
from panvec.models.embedder import WHOLE, Span
from panvec.models.facts import Facts
from panvec.models.parts import Once, TypedPart, typed_parts

HZ = 16_000
"""The rate of all sound that a processor is given."""
_MILLISECONDS = 1000

Cut = Callable[[str, int], list[tuple[str, int, int]]]
"""A text and a number of tokens to pieces of at most so many, each with where it begins and ends in characters."""


@dataclass(frozen=True, eq=False)
class Block:
    """One piece of a message. `media`: a PIL image, samples `[n]`, or frames uint8 `[frames, height, width, 3]`.

    `continues`: a text that goes on where the text before it was cut. Of a video: the second of each frame, how long it
    is, and its sound, where the model takes both in one.
    """

    kind: Literal["text", "image", "audio", "video"]
    text: str = ""
    continues: bool = False
    media: Any = None
    times: tuple[float, ...] = ()
    seconds: float = 0.0
    sound: Samples | None = None

    @property
    def bytes(self) -> int:
        """Of memory for decoded media."""
        picture = isinstance(self.media, PIL.Image.Image)
        media = self.media.width * self.media.height * 3 if picture else getattr(self.media, "nbytes", 0)
        return media + (0 if self.sound is None else self.sound.nbytes)

    def metadata(self) -> dict[str, Any]:
        """What a video processor needs to know of frames that were sampled already; its clock counts milliseconds."""
        return {
            "fps": float(_MILLISECONDS),
            "total_num_frames": max(1, round(self.seconds * _MILLISECONDS)),
            "duration": self.seconds,
            "frames_indices": [round(time * _MILLISECONDS) for time in self.times],
        }


@dataclass(frozen=True, eq=False)
class Unit:
    """What can be embedded alone: a stretch of text, a page, some seconds, or a whole part."""

    span: Span
    blocks: list[Block] = field(default_factory=list)


class Reader:
    """Decodes parts.

    Args:
        name: of the model, for messages.
        facts: of the model.
        modalities: what it takes of text, image, audio, video.
        cut: cuts texts.
        capacity: tokens of text that go into the model at once.
    """

    def __init__(self, name: str, facts: Facts, modalities: tuple[str, ...], cut: Cut, capacity: int) -> None:
        self.name, self.facts, self.modalities = name, facts, modalities
        self.cut, self.capacity = cut, capacity

    def once(self, limits: Limits) -> Once[list[Block]]:
        """Of a part, its blocks, to be embedded as one: a video is frames of all of it."""
        return Once(
            lambda part: [block for unit in self._units(part, limits, self.capacity, whole=True) for block in unit.blocks]
        )

    def whole(self, content: Content, limits: Limits, read: Once[list[Block]] | None = None) -> list[Block]:
        """A content as blocks in order, to be embedded as one; its parts as `read` (of `once`), where that is shared.

        Raises:
            PanvecError: a part cannot be read, is over a limit, or is of a modality that the model does not take.
        """
        parts = [self._checked(part, limits) for part in typed_parts(content, limits)]
        return [block for blocks in map(read or self.once(limits), parts) for block in blocks]

    def units(self, part: TypedPart, limits: Limits, tokens: int) -> list[Unit]:
        """A part as units of at most `tokens` of text, a page, or `sound_seconds`.

        Raises:
            PanvecError: as `whole`.
        """
        return list(self._units(self._checked(part, limits), limits, min(tokens, self.capacity), whole=False))

    def _checked(self, part: TypedPart, limits: Limits) -> TypedPart:
        needed = "video" if isinstance(part, Image) and is_animated(part, limits) else part.modality
        if needed == "document" or needed in self.modalities:
            return part
        raise InputError(f"{part.name}: {self.name} takes no {needed}: it takes {', '.join(self.modalities)}")

    def _units(self, part: TypedPart, limits: Limits, tokens: int, *, whole: bool) -> Iterator[Unit]:
        if isinstance(part, Text):
            return self._text(part.text, part.name, limits, tokens)
        if isinstance(part, Image) and not is_animated(part, limits):
            return iter([Unit(WHOLE, [_picture(read_image(part, limits, at_least=self.facts.image_side))])])
        if isinstance(part, Audio):
            return self._audio(part, limits)
        if isinstance(part, Document):
            return self._document(part, limits, tokens)
        return self._film(part, limits) if whole else self._clips(part, limits)

    def _text(self, text: str, name: str, limits: Limits, tokens: int) -> Iterator[Unit]:
        if len(text) > limits.text_bytes:
            raise LimitError(f"{name} has {len(text)} characters, over the limit of {limits.text_bytes}: split it")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError("text with half of a surrogate pair: decode it with errors='replace'") from None
        for piece, start, end in self.cut(text, tokens):
            yield Unit(Span("text", start, end), [Block("text", text=piece, continues=start > 0)])

    def _audio(self, part: Audio, limits: Limits) -> Iterator[Unit]:
        for sound in self._sounds(part, limits):
            yield Unit(Span("seconds", sound.start, sound.end), [Block("audio", media=sound.samples)])

    def _sounds(self, part: Audio, limits: Limits) -> Iterator[Sound]:
        """Stretches of at most `sound_seconds`: the last that `read_audio` made longer is halved."""
        for sound in read_audio(part, limits, hz=HZ, seconds=self.facts.sound_seconds):
            for start, samples in self._stretches(sound.start, sound.samples):
                yield Sound(start, start + len(samples) / HZ, samples)

    def _stretches(self, start: float, samples: Samples) -> Iterator[tuple[float, Samples]]:
        longest = round(self.facts.sound_seconds * HZ)
        for piece in np.array_split(samples, -(-len(samples) // longest) or 1):
            yield start, piece
            start += len(piece) / HZ

    def _clips(self, part: Image | Video, limits: Limits) -> Iterator[Unit]:
        for clip in self._read(part, limits):
            yield Unit(Span("seconds", clip.start, clip.end), self._video(clip.start, clip.end, clip.frames, clip.sound))

    def _film(self, part: Image | Video, limits: Limits) -> Iterator[Unit]:
        """The whole video as one unit: frames evenly spaced over all of it, and all of its sound."""
        frames = EvenlySpaced(self.facts.frames)
        sounds: list[Samples] = []
        end = 0.0
        for clip in self._read(part, limits):
            for frame in clip.frames:
                frames.add(frame)
            if clip.sound is not None and "audio" in self.modalities:
                sounds.append(clip.sound)
            end = clip.end
        yield Unit(Span("seconds", 0, end), self._video(0, end, frames.chosen(), np.concatenate(sounds) if sounds else None))

    def _read(self, part: Image | Video, limits: Limits) -> Iterator[Clip]:
        facts = self.facts
        return read_video(part, limits, fps=facts.fps, seconds=facts.sound_seconds, hz=HZ, at_least=facts.frame_side)

    def _video(self, start: float, end: float, frames: list[Frame], sound: Samples | None) -> list[Block]:
        """Frames with their sound in one block where the model takes that and it is short enough, else the sound after them."""
        pictures = _same_size(frames)
        block = Block("video", media=pictures, times=tuple(frame.seconds - start for frame in frames), seconds=end - start)
        if sound is None or not len(sound) or "audio" not in self.modalities:
            return [block]
        if self.facts.hears_videos and len(sound) <= self.facts.sound_seconds * HZ:
            return [replace(block, sound=sound)]
        return [block, *(Block("audio", media=samples) for _, samples in self._stretches(0, sound))]

    def _document(self, part: Document, limits: Limits, tokens: int) -> Iterator[Unit]:
        pages = read_document(part, limits, at_least=self.facts.image_side)
        first, second = next(pages), next(pages, None)
        if second is None and not first.pictures:
            yield from self._text(first.text, part.name, limits, tokens)
            return
        units = (self._page(page, part.name, limits) for page in (first, *([second] if second else []), *pages))
        empty = True
        for unit in units:
            empty = empty and not unit.blocks
            if unit.blocks:
                yield unit
        if empty:
            raise InputError(
                f"{part.name}: has only pictures, and {self.name} takes no image: install panvec[ocr] to read them"
            )

    def _page(self, page: Page, name: str, limits: Limits) -> Unit:
        pieces = self._text(page.text, name, limits, self.capacity) if page.text else iter(())
        blocks = [block for unit in pieces for block in unit.blocks]
        pictures = [_picture(picture) for picture in page.pictures] if "image" in self.modalities else []
        return Unit(Span("page", page.number, page.number), blocks + pictures)


class EvenlySpaced:
    """At most `most` of any number of frames, evenly spaced from the first to the last, in memory for twice as many."""

    def __init__(self, most: int) -> None:
        self.most, self.stride, self.seen = most, 1, 0
        self.kept: list[Frame] = []
        self.last: Frame | None = None

    def add(self, frame: Frame) -> None:
        """Another frame."""
        if self.seen % self.stride == 0:
            self.kept.append(frame)
        self.last = frame
        self.seen += 1
        if len(self.kept) > 2 * self.most:
            self.kept = self.kept[::2]
            self.stride *= 2

    def chosen(self) -> list[Frame]:
        """The frames: all where there are no more than `most`."""
        frames = self.kept
        if self.last is not None and self.last is not frames[-1]:
            frames = [*frames, self.last]
        if len(frames) <= self.most:
            return frames
        return [frames[i] for i in np.linspace(0, len(frames) - 1, self.most, dtype=int)]


def _picture(pixels: RGB) -> Block:
    return Block("image", media=PIL.Image.fromarray(pixels))


def _same_size(frames: list[Frame]) -> NDArray[np.uint8]:
    """Frames uint8 `[frames, height, width, 3]`, of the size of the first."""
    height, width = frames[0].pixels.shape[:2]
    pictures = [frame.pixels for frame in frames]
    return np.stack(
        [p if p.shape[:2] == (height, width) else np.asarray(PIL.Image.fromarray(p).resize((width, height))) for p in pictures]
    )
