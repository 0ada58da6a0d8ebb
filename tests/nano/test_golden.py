"""Vectors of examples/media and of texts in eight scripts, as they were when the weights were released.

After a release, `python tests/nano/test_golden.py` writes golden.npz anew: look at the table that it prints first.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from panvec import Content, Embedder, Image, Text

MEDIA = Path(__file__).parents[2] / "examples" / "media"
GOLDEN = Path(__file__).parent / "golden.npz"
TEXTS = ["a dog catching a ball", "ein rotes Fahrrad", "море и небо", "雨の音", "山上的小路", "صوت الجرس", "कुत्ता", "x = 1"]


def contents() -> dict[str, Content | Path]:
    files: dict[str, Content | Path] = {path.name: path for path in sorted(MEDIA.iterdir()) if path.is_file()}
    mixed = Content(Text("the same place, at night: "), Image(MEDIA / "eiffel-tower.jpg"))
    return files | {text: Content(Text(text)) for text in TEXTS} | {"mixed": mixed}


def test_golden_vectors(embedder: Embedder) -> None:
    golden = np.load(GOLDEN, allow_pickle=False)
    assert str(golden["space_id"]) == embedder.space_id, "other weights: see the top of this file"
    found = contents()
    assert list(golden["names"]) == list(found)
    cosines = (embedder.embed(list(found.values())) * golden["vectors"].astype(np.float32)).sum(1)
    # Decoders and kernels differ a little between processors and builds; a changed pipeline differs a lot.
    assert not {name: cosine for name, cosine in zip(found, cosines, strict=True) if cosine < 0.998}


@pytest.mark.parametrize("name", ["dog-ball.jpg", "dog-bark.ogg", "railway-ride.webm", "radio-history.pdf"])
def test_golden_vectors_tell_items_apart(name: str) -> None:
    golden = np.load(GOLDEN, allow_pickle=False)
    vectors = golden["vectors"].astype(np.float32)
    row = list(golden["names"]).index(name)
    assert np.delete(vectors @ vectors[row], row).max() < 0.998


if __name__ == "__main__":
    model, items = Embedder(), contents()
    new = model.embed(list(items.values()))
    if GOLDEN.exists():
        old = np.load(GOLDEN, allow_pickle=False)
        before = dict(zip(old["names"], old["vectors"], strict=True))
        for item, vector in zip(items, new, strict=True):
            sys.stdout.write(f"{item}\t{vector @ before[item] if item in before else float('nan'):.4f}\n")
    np.savez_compressed(GOLDEN, names=list(items), vectors=new.astype(np.float16), space_id=model.space_id)
