"""What tests of builders make, and what they ask of what was built."""

import io
import struct
import wave
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.PngImagePlugin

from panvec.data.builders import source
from panvec.data.builders.base import build
from panvec.data.builders.packages import find
from panvec.data.cards import check_card
from panvec.data.pairs import Pair, read_pairs


def made(name: str, out: Path, place: Path, **options) -> list[Pair]:
    """The pairs of a source, read back from its folder, after a check that its card counts them right."""
    packages = {package.name: find(package, [place]) for package in source(name).packages}
    card = build(source(name), out, packages, **options)
    pairs = list(read_pairs(out, split=None))
    assert card.pairs == len(pairs)
    assert card == check_card(out)
    return pairs


def one(pairs: list[Pair], **wanted: str) -> Pair:
    found = [pair for pair in pairs if all(getattr(pair, name) == value for name, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


def texts(sides) -> list[str]:
    return [value for side in sides for modality, value in side if modality == "text"]


def png(size=(300, 150), colour=(200, 30, 30, 255), **written: str) -> bytes:
    """A picture with a square on a background that one can see through."""
    picture, out = PIL.Image.new("RGBA", size, (0, 0, 0, 0)), io.BytesIO()
    picture.paste(colour, (10, 10, size[0] // 2, size[1] // 2))
    notes = PIL.PngImagePlugin.PngInfo()
    for name, value in written.items():
        notes.add_text(name, value)
    picture.save(out, "PNG", pnginfo=notes)
    return out.getvalue()


def wav(loud: float = 0.3) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((loud * 32_000 * np.sin(np.arange(8_000) / 6)).astype("<i2").tobytes())
    return out.getvalue()


def mo(strings: dict[str, str], order: str = "<") -> bytes:
    """A compiled catalogue of gettext."""
    words = [text.encode() for pair in sorted(strings.items()) for text in pair]
    count, head = len(strings), 28
    start = head + 16 * count
    tables: list[list[bytes]] = [[], []]
    body = b""
    for number, word in enumerate(words):
        tables[number % 2].append(struct.pack(f"{order}2I", len(word), start + len(body)))
        body += word + b"\0"
    first = struct.pack(f"{order}7I", 0x950412DE, 0, count, head, head + 8 * count, 0, 0)
    return first + b"".join(tables[0] + tables[1]) + body


SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 {height}">{body}</svg>'
DISC = '<circle cx="12" cy="12" r="9" fill="#c33"/>'
