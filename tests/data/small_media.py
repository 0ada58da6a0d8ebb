"""Small real files, made where they are needed."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path

import numpy as np
import PIL.Image
import samples

SHARED = Path(__file__).parents[3] / "shared" / "data"


def plain(colour: str, size: tuple[int, int] = (32, 24)) -> np.ndarray:
    return np.asarray(PIL.Image.new("RGB", size, colour))


def image_bytes(picture: np.ndarray | str = "red", kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(plain(picture) if isinstance(picture, str) else picture).save(file, kind)
    return file.getvalue()


def tone(seconds: float = 0.5, hz: int = 16_000, pitch: float = 440.0) -> np.ndarray:
    return samples.tone(seconds, hz, pitch)


def wav_bytes(sound: np.ndarray | None = None, hz: int = 16_000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as output:
        output.setnchannels(1)
        output.setsampwidth(2)
        output.setframerate(hz)
        output.writeframes((32_767 * (tone() if sound is None else sound)).astype("<i2").tobytes())
    return file.getvalue()


def json_lines(path: Path, rows: list[object]) -> None:
    """Rows as JSON; a string is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8")


def write(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path
