"""A small data set: coloured pictures with captions in two wordings, and tones with their names."""

import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panvec.data.pairs import Pair, text, write_pairs

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 180, 40),
    "blue": (30, 40, 220),
    "yellow": (240, 220, 40),
    "white": (250, 250, 250),
}
RECIPE = """\
name: small
seed: 3
model: {{start: {start}, dropout: {dropout}, adapter_rank: {rank}, bridge: 8}}
sources: {{photos: {{path: photos, licence: CC BY 4.0}}, tones: {{path: tones}}, words: {{path: words}}}}
tasks:
  photos:
    data: [photos]
    batch: 6
    swap: true
    thumbnails: 1
    others: photos
    others_count: 4
    others_share: 0.5
    loss: {{matching: 0.1}}
  tones:
    {{data: [tones], batch: 4, augmented: 1, prompt_dropout: 0.5, loss: {{learn_temperature: true, spread_out: 0.1}}}}
  words: {{data: [words], batch: 4, parallel: true}}
stages:
  - {{name: first, steps: 4, rate: 1.0e-3, warmup: 1, trunk: false, mixture: {{photos: 1, tones: 1}}}}
  - {{name: second, steps: 4, rate: 1.0e-3, warmup: 0, schedule: cosine, mine: true, mixture: {{photos: 1, tones: 1}}}}
  - {{name: third, steps: 4, rate: 1.0e-3, warmup: 0, trunk: false, turn: true, mixture: {{photos: 1, tones: 1}}}}
  - {{name: fourth, steps: 4, rate: 1.0e-3, warmup: 0, trunk: false, bridge: true, mixture: {{photos: 1, words: 2}}}}
mining: {{ranks: [0, 9], margin: 0.0, count: 2}}
soup: {{checkpoints: 2, every: 4}}
chunk: 4
checkpoint_minutes: 1.0e-6
"""


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    photos = []
    for size in (40, 60):
        for name, colour in COLOURS.items():
            path = root / "photos" / f"{name}-{size}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (size, 50), colour).save(path)
            captions = (text(f"a {name} square {size}"), text(f"something {name}, {size} wide"))
            photos.append(Pair(path.stem, (("image", str(path)),), captions))
    write_pairs(root / "photos", photos)
    tones = []
    for hz in (200, 400, 800, 1600, 3200):
        path = root / "tones" / f"{hz}.wav"
        path.parent.mkdir(exist_ok=True)
        samples = (np.sin(np.arange(8000) * 2 * np.pi * hz / 16000) * 9000).astype("<i2")
        with wave.open(str(path), "wb") as out:
            out.setnchannels(1), out.setsampwidth(2), out.setframerate(16000), out.writeframes(samples.tobytes())
        tones.append(Pair(str(hz), (("audio", str(path)),), (text(f"a tone of {hz} hertz"),)))
    write_pairs(root / "tones", tones)
    german = {"red": "rotes", "green": "grünes", "blue": "blaues", "yellow": "gelbes", "white": "weißes"}
    words = [Pair(name, text(f"a {name} square"), (text(f"{own} Quadrat"),), language="de") for name, own in german.items()]
    write_pairs(root / "words", words)
    return root


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    path.write_text(RECIPE.format(start="closed form", dropout=0.2, rank=4), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def recipe_without_chance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without dropout, whose random choices differ between processes, and without mining, where ranks may tie."""
    path = tmp_path_factory.mktemp("recipe") / "plain.yaml"
    path.write_text(RECIPE.format(start="released", dropout=0.0, rank=0).replace("mine: true", "mine: false"), encoding="utf-8")
    return path
