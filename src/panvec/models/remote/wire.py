"""A content as it is sent: texts and files in order, with what is charged for."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import av
import numpy as np

from panvec.content import Content, Document, Limits, Video
from panvec.media.formats import sniff
from panvec.media.source import check_size, resolve
from panvec.models.blocks import HZ, Block, Reader
from panvec.models.parts import TypedPart, typed_parts
from panvec.models.remote.cost import Amount, Most

_AS_THEY_ARE = {"PDF": "application/pdf", "MP4": "video/mp4", "MOV": "video/quicktime"}
"""Formats that Gemini takes, by the name that `panvec.media` has for them."""
_BYTES_PER_TOKEN = 4
"""About: the tokenizers of these services are not public."""


@dataclass(frozen=True)
class File:
    """The bytes of a medium."""

    mime: str
    data: bytes


Written: TypeAlias = tuple[str | File, Amount]
"""A text or a file, with what is charged for it."""


@dataclass(frozen=True, eq=False)
class Letter:
    """What is sent of one content, and how much of everything it is."""

    name: str
    pieces: tuple[str | File, ...]
    amount: Amount

    @property
    def size(self) -> int:
        """Bytes, about."""
        return sum(len(piece.encode()) if isinstance(piece, str) else len(piece.data) for piece in self.pieces)


class Writer:
    """Contents to letters.

    Args:
        reader: decodes what is not sent as it is.
        files: whether PDF, MP4 and MOV files are sent as they are.
        most: of one letter.
    """

    def __init__(self, reader: Reader, *, files: bool, most: Most) -> None:
        self.reader, self.files, self.most = reader, files, most

    def letters(self, content: Content, prompt: str, limits: Limits) -> list[Letter]:
        """A content as it is sent: one letter, or several where it is too much for one.

        Raises:
            PanvecError: it cannot be sent.
        """
        letters, filled = [list[Written]()], Amount()
        for piece, amount in (written for part in typed_parts(content, limits) for written in self._part(part, limits)):
            if letters[-1] and not self.most.holds(filled + amount):
                letters.append([])
                filled = Amount()
            letters[-1].append((piece, amount))
            filled += amount
        return [stamped(content.name, letter, prompt) for letter in letters]

    def _part(self, part: TypedPart, limits: Limits) -> list[Written]:
        """A part as a file, or in pieces; what is too much for one letter in the pages or stretches of seconds that it has."""
        if self.files and isinstance(part, Document) and (whole := _as_it_is(part, limits)) is not None:
            pages = Amount(images=_pages(part, limits))
            if self.most.holds(pages):
                return [(whole, pages)]
        blocks = self.reader.whole(Content(part), limits)
        if sum(block.seconds for block in blocks) > self.most.film:
            blocks = [block for unit in self.reader.units(part, limits, self.most.tokens) for block in unit.blocks]
        elif self.files and isinstance(part, Video) and (whole := _as_it_is(part, limits)) is not None:
            return [(whole, sum(map(amount_of, blocks), Amount()))]
        return [written for block in blocks for written in pieces_of(block)]


def stamped(name: str, written: Sequence[Written], prompt: str) -> Letter:
    """A letter of pieces; the prompt goes before the first text, or before everything where there is none."""
    pieces: list[str | File] = [piece for piece, _ in written]
    if prompt and pieces and isinstance(pieces[0], str):
        pieces[0] = prompt + pieces[0]
    elif prompt:
        pieces.insert(0, prompt)
    amount = sum((amount for _, amount in written), Amount(tokens=_tokens(prompt)))
    return Letter(name, tuple(pieces), amount)


def pieces_of(block: Block) -> list[Written]:
    """A block as it is sent: a picture as PNG, sound as WAV, a video as MP4 with its sound."""
    if block.kind == "text":
        return [(block.text, amount_of(block))]
    if block.kind == "image":
        return [(File("image/png", _png(block.media)), amount_of(block))]
    if block.kind == "audio":
        return [(File("audio/wav", _wav(block.media)), amount_of(block))]
    return [(File("video/mp4", _mp4(block)), amount_of(block))]


def amount_of(block: Block) -> Amount:
    """How much of everything a block is."""
    if block.kind == "text":
        return Amount(tokens=_tokens(block.text))
    if block.kind == "image":
        return Amount(images=1)
    if block.kind == "audio":
        return Amount(seconds=len(block.media) / HZ)
    sound = 0.0 if block.sound is None else len(block.sound) / HZ
    return Amount(frames=len(block.media), seconds=sound, film=block.seconds)


def cut(text: str, tokens: int) -> list[tuple[str, int, int]]:
    """A text in pieces of about `tokens`, ended at a space where there is one."""
    most = max(1, tokens * _BYTES_PER_TOKEN * len(text) // max(1, len(text.encode())))
    pieces, start = list[tuple[str, int, int]](), 0
    while start < len(text) or not pieces:
        end = min(start + most, len(text))
        space = text.rfind(" ", start + most // 2, end)
        end = space + 1 if end < len(text) and space > 0 else end
        pieces.append((text[start:end], start, end))
        start = end
    return pieces


def _tokens(text: str) -> int:
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


def _as_it_is(part: Document | Video, limits: Limits) -> File | None:
    """The bytes of a file of a format that the service takes; None of any other and of an array."""
    if isinstance(part.source, np.ndarray) or type(part.source).__module__.startswith("PIL."):
        return None
    blob = resolve(part, limits)
    found = sniff(blob.head())
    mime = _AS_THEY_ARE.get(found.name if found else "")
    if mime is None:
        return None
    check_size(blob.name, blob.size, limits.document_bytes if isinstance(part, Document) else limits.video_bytes)
    return File(mime, blob.read())


def _pages(part: Document, limits: Limits) -> int:
    from panvec.media.document import read_document

    return sum(1 for _ in read_document(part, limits))


def _png(picture: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _wav(samples: Any) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(HZ)
        sound.writeframes(_pcm(samples).tobytes())
    return file.getvalue()


def _pcm(samples: Any) -> Any:
    return (np.clip(samples, -1, 1) * 32_767).astype(np.int16)


def _mp4(block: Block) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        pictures: Any = output.add_stream("libx264", rate=Fraction(max(1, round(len(block.media) / max(block.seconds, 1)))))
        pictures.height, pictures.width = (side // 2 * 2 for side in block.media.shape[1:3])
        pictures.pix_fmt = "yuv420p"
        pictures.codec_context.time_base = Fraction(1, 1000)
        sound: Any = None if block.sound is None else output.add_stream("aac", rate=HZ, layout="mono")
        for picture, second in zip(block.media, block.times, strict=True):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(picture[: pictures.height, : pictures.width]), format="rgb24"
            )
            frame.pts, frame.time_base = round(second * 1000), Fraction(1, 1000)
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        if sound is not None:
            _encode(output, sound, block.sound)
    return file.getvalue()


def _encode(output: Any, stream: Any, samples: Any) -> None:
    resampler = av.AudioResampler(stream.codec_context.format.name, "mono", HZ)
    frame = av.AudioFrame.from_ndarray(_pcm(samples)[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = HZ, 0, Fraction(1, HZ)
    fifo = av.AudioFifo()
    for ready in resampler.resample(frame):
        fifo.write(ready)
    while piece := fifo.read(stream.codec_context.frame_size or 1024, partial=True):
        output.mux(stream.encode(piece))
    output.mux(stream.encode(None))
