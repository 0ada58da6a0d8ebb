"""Data folders and embedders for the tests of evaluation."""

import cProfile
import itertools
import json
import pstats
import wave
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from panvec import Audio, Content, Embedder, Image, MediaError, Text, Video

COLOURS = ("red", "green", "blue", "yellow", "black", "white")
PITCHES = {"low": 110, "high": 3000}


class Calls(cProfile.Profile):
    """Counts the calls of some functions inside a `with`: of all of a name, or of that of a file, such as `video._opened`."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    @property
    def counts(self) -> dict[str, int]:
        found = Counter[str]()
        for (file, _, name), (_, calls, *_) in pstats.Stats(self).stats.items():  # type: ignore[attr-defined]
            found.update({name: calls, f"{Path(file).stem}.{name}": calls})
        return {name: found[name] for name in self.names}


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")


def picture(file: Path, colour: str, size: tuple[int, int] = (48, 48)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", size, colour).save(file)


def tone(file: Path, hz: float, seconds: float = 0.6) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(16_000 * seconds)) / 16_000)
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes((samples * 32767).astype("<i2").tobytes())


def captioned(folder: Path) -> Path:
    """Six coloured pictures with three captions each, of which one wording belongs to two; a train row and a test row."""
    rows = [
        {"image": f"{c}.png", "split": "dev", "captions": [f"a plain {c} picture", f"{c} and nothing else", f"only {c} here"]}
        for c in COLOURS
    ]
    rows[5]["captions"][2] = rows[4]["captions"][2] = "no colour at all"
    for colour in COLOURS:
        picture(folder / "images" / f"{colour}.png", colour)
    other = [{"image": "nowhere.png", "split": split, "captions": ["a thing"]} for split in ("train", "test")]
    write_rows(folder / "captions.jsonl", rows + other)
    return folder


def labelled(folder: Path) -> Path:
    """Tones of two classes in two folds."""
    rows = []
    for i, (name, hz) in enumerate(PITCHES.items()):
        for fold in (1, 2):
            tone(folder / "audio" / f"{name}{fold}.wav", hz * (1 + fold / 10))
            label = {"label": i, "class_name": f"a {name} tone"}
            rows.append({"audio": f"{name}{fold}.wav", "fold": fold, **label})
    write_rows(folder / "labels.jsonl", rows)
    return folder


def spoken(folder: Path) -> Path:
    """Tones that pass for speech, whose photos are in the folder of `captioned`."""
    rows = [{"audio": f"{c}.wav", "image": f"{c}.png", "text": f"a {c} thing"} for c in COLOURS]
    for i, colour in enumerate(COLOURS):
        tone(folder / "audio" / f"{colour}.wav", 200 + 100 * i)
    write_rows(folder / "captions.jsonl", rows)
    return folder


def pictured(folder: Path) -> Path:
    """Pairs of pictures, the second larger, with instructions; the last has none."""
    rows = []
    for first, second in itertools.pairwise(COLOURS):
        picture(folder / "images" / f"{first}_0.png", first)
        picture(folder / "images" / f"{first}_1.png", second, (64, 40))
        pair = [f"{first}_0.png", f"{first}_1.png"]
        rows.append({"name": first, "images": pair, "instructions": [f"Start with {first}.", f"End with {second}."]})
    rows[-1]["instructions"] = []
    write_rows(folder / "meta.jsonl", rows)
    return folder


class Planted:
    """An embedder of fixed random vectors, which counts what it embeds and fails on the names in `broken`."""

    space_id = "planted"
    dims = (16, 8)

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.asked: list[str] = []

    def embed(self, inputs: list[Content], *, on_error: str) -> list[Any]:
        return [self.one(content) for content in inputs]

    def one(self, content: Content) -> Any:
        key = " + ".join(_key(part) for part in content)
        self.asked.append(key)
        if any(name in key for name in self.broken):
            return MediaError(f"{key}: is broken")
        return self.vector(key)

    def vector(self, key: str) -> np.ndarray:
        vector = np.random.default_rng(zlib.crc32(key.encode())).normal(size=self.dims[0])
        return (vector / np.linalg.norm(vector)).astype(np.float32)


class Constant(Planted):
    """An embedder that has collapsed: one vector for everything."""

    def vector(self, key: str) -> np.ndarray:
        return super().vector("")


class Shy:
    """A real embedder that gives up a whole batch, and fails in its own way, where a content has a part of `kind`."""

    def __init__(self, embedder: Embedder, kind: type) -> None:
        self.embedder, self.kind = embedder, kind
        self.space_id, self.dims = embedder.space_id, embedder.dims

    def embed(self, inputs: list[Content], *, on_error: Any) -> Any:
        if any(isinstance(part, self.kind) for content in inputs for part in content):
            raise RuntimeError("out of memory")
        return self.embedder.embed(inputs, on_error=on_error)


def _key(part: Any) -> str:
    if isinstance(part, Text):
        return part.text
    if isinstance(part, Image | Audio):
        return Path(part.source).name
    assert isinstance(part, Video)
    return f"video {part.source.shape} {part.source[:, 0, 0].tolist()}"
