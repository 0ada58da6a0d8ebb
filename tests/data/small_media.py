"""Small real files, made where they are needed."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path

import numpy as np
import PIL.Image

SHARED = Path(__file__).parents[3] / "shared" / "data"


def corners(width: int = 64, height: int = 48) -> np.ndarray:
    """A picture whose four quarters are red, green, blue and white, from the top left, row by row."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (255, 0, 0)
    picture[: height // 2, width // 2 :] = (0, 255, 0)
    picture[height // 2 :, : width // 2] = (0, 0, 255)
    picture[height // 2 :, width // 2 :] = 255
    return picture


def plain(colour: str, size: tuple[int, int] = (32, 24)) -> np.ndarray:
    return np.asarray(PIL.Image.new("RGB", size, colour))


def image_bytes(picture: np.ndarray | str = "red", kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(plain(picture) if isinstance(picture, str) else picture).save(file, kind)
    return file.getvalue()


def tone(seconds: float = 0.5, hz: int = 16_000, pitch: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * hz)) / hz)).astype(np.float32)


def wav_bytes(samples: np.ndarray | None = None, hz: int = 16_000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(hz)
        sound.writeframes((32_767 * (tone() if samples is None else samples)).astype("<i2").tobytes())
    return file.getvalue()


def json_lines(path: Path, rows: list[object]) -> None:
    """Rows as JSON; a string is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8")


def write(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path
