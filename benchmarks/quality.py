"""Development scores of panvec-nano: `python benchmarks/quality.py DATA`.

DATA holds `flickr8k`, `animal_sounds`, `urbansound8k` and `flickr8k_speech`; only what training held back is
scored. Uses nothing but `Embedder` and numpy.
"""

import argparse
import json
import zlib
from pathlib import Path

import numpy as np

from panvec import Audio, Embedder, Image


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def photos(embedder: Embedder, data: Path) -> None:
    dev = [row for row in rows(data / "flickr8k/captions.jsonl") if row["split"] == "dev"]
    images = embedder.embed([Image(data / "flickr8k/images" / row["image"]) for row in dev])
    texts = embedder.embed([caption for row in dev for caption in row["captions"]])
    gold = np.arange(len(dev)).repeat(5)
    for dim in embedder.dims:
        short_images, short_texts = (v[:, :dim] / np.linalg.norm(v[:, :dim], axis=1, keepdims=True) for v in (images, texts))
        scores = short_texts @ short_images.T
        rank = (scores > scores[np.arange(len(gold)), gold][:, None]).sum(1)
        back = gold[scores.argmax(0)] == np.arange(len(dev))
        print(
            f"flickr8k dev, {len(dev)} photos, dim {dim}: text to photo R@1 {(rank < 1).mean():.1%}, "
            f"R@10 {(rank < 10).mean():.1%}; photo to text R@1 {back.mean():.1%}"
        )


def sounds(embedder: Embedder, data: Path) -> None:
    animals = [r for r in rows(data / "animal_sounds/labels.jsonl") if zlib.crc32(r["audio"].encode()) % 5 == 0]
    city = [r for r in rows(data / "urbansound8k/labels.jsonl") if r["fold"] == 3]
    for name, held in (("animal_sounds", animals), ("urbansound8k", city)):
        labels = sorted({row["label"] for row in held})
        heard = embedder.embed([Audio(data / name / "audio" / row["audio"]) for row in held])
        best = (heard @ embedder.embed(labels).T).argmax(1)
        right = [labels[i] == row["label"] for i, row in zip(best, held, strict=True)]
        print(f"{name}, {len(held)} held back, {len(labels)} classes: right name first {np.mean(right):.1%}")


def speech(embedder: Embedder, data: Path) -> None:
    dev = [row for row in rows(data / "flickr8k_speech/captions.jsonl") if row["split"] != "train"]
    heard = embedder.embed([Audio(data / "flickr8k_speech/audio" / row["audio"]) for row in dev])
    best = (heard @ embedder.embed([row["text"] for row in dev]).T).argmax(1)
    print(f"flickr8k_speech, {len(dev)} recordings: its text first {(best == np.arange(len(dev))).mean():.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    embedder = Embedder()
    print(embedder)
    photos(embedder, data)
    sounds(embedder, data)
    speech(embedder, data)


if __name__ == "__main__":
    main()
